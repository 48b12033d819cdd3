// Writes what fairlead's embedded API server knows about Kubernetes' own kinds: the fields of each Go type as its
// JSON and protobuf codecs see them, and what OpenAPI says beside (lists that merge, descriptions).
// Two files: types.json (loaded at start) and descriptions.json (loaded when somebody asks for OpenAPI).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kubernetes/pkg/generated/openapi"
)

// The kinds that the embedded server has, by group and version.
var kinds = map[string]string{
	"/v1": "Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim " +
		"Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount Status APIGroup APIGroupList APIResourceList APIVersions",
	"admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
	"apiextensions.k8s.io/v1":         "CustomResourceDefinition",
	"apiregistration.k8s.io/v1":       "APIService",
	"apps/v1":                         "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
	"authentication.k8s.io/v1":        "SelfSubjectReview TokenRequest TokenReview",
	"authorization.k8s.io/v1":         "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
	"autoscaling/v1":                  "HorizontalPodAutoscaler Scale",
	"autoscaling/v2":                  "HorizontalPodAutoscaler",
	"batch/v1":                        "CronJob Job",
	"certificates.k8s.io/v1":          "CertificateSigningRequest",
	"coordination.k8s.io/v1":          "Lease",
	"discovery.k8s.io/v1":             "EndpointSlice",
	"events.k8s.io/v1":                "Event",
	"networking.k8s.io/v1":            "Ingress IngressClass NetworkPolicy",
	"node.k8s.io/v1":                  "RuntimeClass",
	"policy/v1":                       "Eviction PodDisruptionBudget",
	"rbac.authorization.k8s.io/v1":    "ClusterRole ClusterRoleBinding Role RoleBinding",
	"scheduling.k8s.io/v1":            "PriorityClass",
	"storage.k8s.io/v1":               "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment",
}

// Types that have a codec of their own.
var leaves = map[string]string{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":                                             "time",
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":                                        "microtime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":                                         "duration",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":                                         "fields",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":                                         "quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":                                       "int-or-string",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":                                          "raw",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON":                         "raw",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool":        "schema-or-bool",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray":       "schema-or-array",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray": "schema-or-strings",
}

// Field is one field as JSON and protobuf have it. Names are short: there are 3,000 of them.
type Field struct {
	Type string `json:"t"`
	// How an empty one is written: absent = always written (null, "" or {}); 1 = omitempty; 2 = omitzero.
	Omit int `json:"o,omitempty"`
	// A pointer in Go: an explicit zero is kept.
	Pointer bool `json:"p,omitempty"`
	// The number in protobuf; a path where an embedded message stands between.
	Number []int `json:"n,omitempty"`
	// x-kubernetes-list-type, x-kubernetes-map-type
	List string `json:"l,omitempty"`
	Map  string `json:"m,omitempty"`
	// x-kubernetes-list-map-keys
	Keys          []string `json:"k,omitempty"`
	PatchStrategy string   `json:"ps,omitempty"`
	PatchKey      string   `json:"pk,omitempty"`
	Default       any      `json:"d,omitempty"`
	Enum          []any    `json:"e,omitempty"`
	Format        string   `json:"f,omitempty"`
}

// Type is one Go struct.
type Type struct {
	Go       string            `json:"go"`
	Map      string            `json:"map,omitempty"`
	Required []string          `json:"required,omitempty"`
	Fields   map[string]*Field `json:"fields"`
	order    []string
}

var (
	types        = map[string]*Type{}
	order        []string
	descriptions = map[string]map[string]string{}
	definitions  map[string]common.OpenAPIDefinition
)

func main() {
	scheme := runtime.NewScheme()
	must(clientscheme.AddToScheme(scheme))
	must(apiextensions.AddToScheme(scheme))
	must(apiregistration.AddToScheme(scheme))
	definitions = openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef(path) })
	roots := map[string]map[string]string{}
	for _, groupVersion := range sorted(kinds) {
		gv := schema.GroupVersion{}
		gv.Group, gv.Version, _ = strings.Cut(groupVersion, "/")
		roots[groupVersion] = map[string]string{}
		for _, kind := range strings.Fields(kinds[groupVersion]) {
			var t reflect.Type
			if found, ok := scheme.AllKnownTypes()[gv.WithKind(kind)]; ok {
				t = found
			} else {
				fail("no type for %s %s", groupVersion, kind)
			}
			roots[groupVersion][kind] = add(t)
		}
	}
	for _, t := range []any{metav1.DeleteOptions{}, metav1.CreateOptions{}, metav1.UpdateOptions{}, metav1.PatchOptions{}} {
		roots["/v1"][reflect.TypeOf(t).Name()] = add(reflect.TypeOf(t))
	}
	write("types.json", func(out *strings.Builder) {
		out.WriteString("{\n\"roots\": " + text(roots) + ",\n\"types\": {\n")
		sort.Strings(order)
		for i, name := range order {
			fmt.Fprintf(out, "%s: %s%s\n", text(name), typeText(types[name]), comma(i, len(order)))
		}
		out.WriteString("}\n}\n")
	})
	for _, path := range sorted(leaves) {
		for _, name := range []string{path, modelName(path)} {
			if d, ok := definitions[name]; ok && descriptions[leaves[path]] == nil {
				descriptions[leaves[path]] = map[string]string{"": d.Schema.Description}
				order = append(order, leaves[path])
			}
		}
	}
	sort.Strings(order)
	write("descriptions.json", func(out *strings.Builder) {
		out.WriteString("{\n")
		for i, name := range order {
			fmt.Fprintf(out, "%s: %s%s\n", text(name), text(descriptions[name]), comma(i, len(order)))
		}
		out.WriteString("}\n")
	})
}

// As OpenAPI names a type: the host turned round, dots for slashes.
func modelName(path string) string {
	host, rest, _ := strings.Cut(path, "/")
	parts := strings.Split(host, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, ".") + "." + strings.ReplaceAll(rest, "/", ".")
}

// The name of a type in our files: `apps.v1.Deployment`.
func nameOf(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	name := t.Name()
	if len(parts) >= 2 {
		return parts[len(parts)-2] + "." + parts[len(parts)-1] + "." + name
	}
	return name
}

func definitionOf(t reflect.Type) (common.OpenAPIDefinition, bool) {
	value := reflect.New(t).Interface()
	if named, ok := value.(interface{ OpenAPIModelName() string }); ok {
		if d, ok := definitions[named.OpenAPIModelName()]; ok {
			return d, true
		}
	}
	if d, ok := definitions[t.PkgPath()+"."+t.Name()]; ok {
		return d, true
	}
	return common.OpenAPIDefinition{}, false
}

func add(t reflect.Type) string {
	name := nameOf(t)
	if types[name] != nil {
		return name
	}
	found := &Type{Go: strings.TrimPrefix(t.String(), "*"), Fields: map[string]*Field{}}
	types[name] = found
	order = append(order, name)
	d, ok := definitionOf(t)
	if !ok {
		fail("no OpenAPI definition for %s.%s", t.PkgPath(), t.Name())
	}
	if v, ok := d.Schema.Extensions.GetString("x-kubernetes-map-type"); ok {
		found.Map = v
	}
	found.Required = d.Schema.Required
	descriptions[name] = map[string]string{"": d.Schema.Description}
	addFields(found, name, t, d, nil, 0)
	return name
}

func addFields(into *Type, name string, t reflect.Type, d common.OpenAPIDefinition, prefix []int, omit int) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" {
			continue
		}
		number := protobufNumber(f)
		if strings.Contains(options, "inline") || (f.Anonymous && tag == "") {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			path := prefix
			if number > 0 {
				path = append(append([]int{}, prefix...), number)
			}
			addFields(into, name, inner, d, path, omit)
			continue
		}
		if tag == "" {
			continue
		}
		if f.PkgPath != "" {
			continue
		}
		field := &Field{}
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			field.Pointer = true
			ft = ft.Elem()
		}
		field.Type = typeName(ft)
		if strings.Contains(options, "omitempty") {
			field.Omit = 1
		}
		if strings.Contains(options, "omitzero") {
			field.Omit = 2
		}
		if number > 0 {
			field.Number = append(append([]int{}, prefix...), number)
		}
		if p, ok := d.Schema.Properties[tag]; ok {
			descriptions[name][tag] = p.Description
			field.List, _ = p.Extensions.GetString("x-kubernetes-list-type")
			field.Map, _ = p.Extensions.GetString("x-kubernetes-map-type")
			field.Keys, _ = p.Extensions.GetStringSlice("x-kubernetes-list-map-keys")
			field.PatchStrategy, _ = p.Extensions.GetString("x-kubernetes-patch-strategy")
			field.PatchKey, _ = p.Extensions.GetString("x-kubernetes-patch-merge-key")
			field.Default = p.Default
			field.Enum = p.Enum
			if field.Type == "string" && p.Format != "" {
				field.Format = p.Format
			}
		}
		into.Fields[tag] = field
		into.order = append(into.order, tag)
	}
}

func typeName(t reflect.Type) string {
	if leaf, ok := leaves[t.PkgPath()+"."+t.Name()]; ok {
		return leaf
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		return add(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "byte"
		}
		return "[]" + typeName(t.Elem())
	case reflect.Map:
		return "{}" + typeName(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int32:
		return "int32"
	case reflect.Int64, reflect.Int:
		return "int64"
	case reflect.Float64:
		return "double"
	case reflect.Uint8:
		return "byte"
	}
	fail("type %s of kind %s", t, t.Kind())
	return ""
}

func protobufNumber(f reflect.StructField) int {
	parts := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0
	}
	number := 0
	fmt.Sscanf(parts[1], "%d", &number)
	return number
}

func typeText(t *Type) string {
	var out strings.Builder
	fmt.Fprintf(&out, "{\"go\":%s", text(t.Go))
	if t.Map != "" {
		fmt.Fprintf(&out, ",\"map\":%s", text(t.Map))
	}
	if len(t.Required) > 0 {
		fmt.Fprintf(&out, ",\"required\":%s", text(t.Required))
	}
	out.WriteString(",\"fields\":{")
	for i, name := range t.order {
		fmt.Fprintf(&out, "%s:%s%s", text(name), text(t.Fields[name]), comma(i, len(t.order)))
	}
	out.WriteString("}}")
	return out.String()
}

func comma(i, n int) string {
	if i == n-1 {
		return ""
	}
	return ","
}

func text(v any) string {
	b, err := json.Marshal(v)
	must(err)
	return string(b)
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func write(name string, fill func(*strings.Builder)) {
	var out strings.Builder
	fill(&out)
	must(os.WriteFile(filepath.Join(os.Args[1], name), []byte(out.String()), 0o644))
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
