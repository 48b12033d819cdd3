// adsload connects N sidecar-like ADS clients to a control plane, then changes the weight in one VirtualService through the
// Kubernetes API, round after round, and reports how long it takes until the first, median, p99 and last client hold it.
// It is used side by side on istiod and on fairlead, against the same API server and the same objects.
//
// -own asks for what fairlead's own sidecars ask for (the runtime layer `fl` first, interception mode NONE) and marks the
// VirtualService as a live canary's, so that a weight arrives as two runtime keys. -json prints one line of figures; -hold
// then keeps all streams until stdin ends.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rtdsv3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	cds = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	lds = "type.googleapis.com/envoy.config.listener.v3.Listener"
	rds = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	eds = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	// The runtime layer by which fairlead's own sidecars get a live canary's weights.
	rtds = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
)

type seen struct {
	client int
	weight uint32
	at     time.Time
}

var (
	addr    = flag.String("addr", "127.0.0.1:15010", "control plane, plaintext ADS")
	n       = flag.Int("n", 100, "clients")
	ns      = flag.String("ns", "test", "namespace of the clients")
	api     = flag.String("api", "https://127.0.0.1:6443", "Kubernetes API")
	token   = flag.String("token", "admintoken", "bearer token")
	vs      = flag.String("vs", "podinfo", "VirtualService whose two weights change")
	delta   = flag.Bool("delta", true, "incremental xDS, as Istio's and fairlead's own sidecars use")
	rounds  = flag.Int("rounds", 10, "weight changes")
	pause   = flag.Duration("pause", 500*time.Millisecond, "pause between rounds")
	asJSON  = flag.Bool("json", false, "print one JSON line of figures at the end, the text on stderr")
	own     = flag.Bool("own", false, "ask for what fairlead's own sidecars ask for, and mark the VirtualService as a live canary's")
	hold    = flag.Bool("hold", false, "keep the streams after the last round until stdin ends")
	bytesIn atomic.Int64
	wireIn  atomic.Int64
	pushes  atomic.Int64
)

// say prints a line for people.
func say(format string, args ...any) {
	if *asJSON {
		fmt.Fprintf(os.Stderr, format, args...)
	} else {
		fmt.Printf(format, args...)
	}
}

// wire counts the bytes of every message that comes in, as they were on the wire.
type wire struct{}

func (wire) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (wire) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (wire) HandleConn(context.Context, stats.ConnStats)                       {}
func (wire) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		wireIn.Add(int64(in.WireLength))
	}
}

func str(s string) *structpb.Value { return structpb.NewStringValue(s) }

func node(id int) *core.Node {
	ip := fmt.Sprintf("10.%d.%d.%d", 100+id/65536, id/256%256, id%256)
	name := fmt.Sprintf("load-%d", id)
	labels := &structpb.Struct{Fields: map[string]*structpb.Value{"app": str("load")}}
	fields := map[string]*structpb.Value{
		"NAMESPACE": str(*ns), "NAME": str(name), "INSTANCE_IPS": str(ip), "LABELS": structpb.NewStructValue(labels),
		"SERVICE_ACCOUNT": str("default"), "CLUSTER_ID": str("Kubernetes"), "ISTIO_VERSION": str("1.30.0"),
	}
	if *own {
		fields["INTERCEPTION_MODE"], fields["HTTP_PROXY_PORT"] = str("NONE"), str("15080")
	}
	return &core.Node{Id: fmt.Sprintf("sidecar~%s~%s.%s~%s.svc.cluster.local", ip, name, *ns, *ns), Cluster: "load." + *ns,
		Metadata: &structpb.Struct{Fields: fields}}
}

// runtimeWeight is the canary's weight in the runtime layer, in points.
func runtimeWeight(a *anypb.Any) (uint32, bool) {
	var r rtdsv3.Runtime
	if a.UnmarshalTo(&r) != nil {
		return 0, false
	}
	for key, value := range r.Layer.GetFields() {
		if strings.Contains(key, *vs+"-canary") {
			return uint32(value.GetNumberValue() / 10000), true
		}
	}
	return 0, false
}

func routeNames(l *listener.Listener) (names []string) {
	chains := append([]*listener.FilterChain{}, l.FilterChains...)
	if l.DefaultFilterChain != nil {
		chains = append(chains, l.DefaultFilterChain)
	}
	for _, fc := range chains {
		for _, f := range fc.Filters {
			var h hcm.HttpConnectionManager
			if f.GetTypedConfig() != nil && f.GetTypedConfig().UnmarshalTo(&h) == nil && h.GetRds() != nil {
				names = append(names, h.GetRds().RouteConfigName)
			}
		}
	}
	return names
}

// canaryWeight is the canary's share in points, whatever the weights sum to.
func canaryWeight(a *anypb.Any) (uint32, bool) {
	var rc route.RouteConfiguration
	if a.UnmarshalTo(&rc) != nil {
		return 0, false
	}
	for _, vh := range rc.VirtualHosts {
		for _, rt := range vh.Routes {
			weight, sum, found := uint32(0), uint32(0), false
			for _, c := range rt.GetRoute().GetWeightedClusters().GetClusters() {
				sum += c.Weight.GetValue()
				if strings.Contains(c.Name, *vs+"-canary") {
					weight, found = c.Weight.GetValue(), true
				}
			}
			if found && sum > 0 {
				return uint32(uint64(weight) * 100 / uint64(sum)), true
			}
		}
	}
	return 0, false
}

func client(ctx context.Context, conn *grpc.ClientConn, id int, out chan<- seen, up *atomic.Int64) error {
	s, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		return err
	}
	node := node(id)
	send := func(r *discovery.DiscoveryRequest) error { return s.Send(r) }
	for _, t := range []string{cds, lds} {
		if err := send(&discovery.DiscoveryRequest{Node: node, TypeUrl: t}); err != nil {
			return err
		}
	}
	routes, last := map[string]bool{}, uint32(1<<30)
	for {
		r, err := s.Recv()
		if err != nil {
			return err
		}
		now := time.Now()
		pushes.Add(1)
		ack := &discovery.DiscoveryRequest{TypeUrl: r.TypeUrl, VersionInfo: r.VersionInfo, ResponseNonce: r.Nonce}
		switch r.TypeUrl {
		case cds:
			var names []string
			for _, a := range r.Resources {
				bytesIn.Add(int64(len(a.Value)))
				var c cluster.Cluster
				if a.UnmarshalTo(&c) == nil && c.GetType() == cluster.Cluster_EDS {
					if sn := c.GetEdsClusterConfig().GetServiceName(); sn != "" {
						names = append(names, sn)
					} else {
						names = append(names, c.Name)
					}
				}
			}
			_ = send(ack)
			_ = send(&discovery.DiscoveryRequest{TypeUrl: eds, ResourceNames: names})
			continue
		case lds:
			changed := false
			for _, a := range r.Resources {
				bytesIn.Add(int64(len(a.Value)))
				var l listener.Listener
				if a.UnmarshalTo(&l) != nil {
					continue
				}
				for _, rn := range routeNames(&l) {
					if !routes[rn] {
						routes[rn], changed = true, true
					}
				}
			}
			_ = send(ack)
			if changed {
				var names []string
				for k := range routes {
					names = append(names, k)
				}
				_ = send(&discovery.DiscoveryRequest{TypeUrl: rds, ResourceNames: names})
			}
			continue
		case rds:
			for k := range routes {
				ack.ResourceNames = append(ack.ResourceNames, k)
			}
			for _, a := range r.Resources {
				bytesIn.Add(int64(len(a.Value)))
				if w, ok := canaryWeight(a); ok && w != last {
					if last == 1<<30 {
						up.Add(1)
					}
					last = w
					out <- seen{id, w, now}
				}
			}
		case eds:
			for _, a := range r.Resources {
				bytesIn.Add(int64(len(a.Value)))
			}
		}
		if err := send(ack); err != nil {
			return err
		}
	}
}

// deltaClient is client over the incremental protocol. It counts as up once it holds a weight and everything it asked for.
func deltaClient(ctx context.Context, conn *grpc.ClientConn, id int, out chan<- seen, up *atomic.Int64) error {
	s, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	first := []*discovery.DeltaDiscoveryRequest{{TypeUrl: cds, ResourceNamesSubscribe: []string{"*"}}, {TypeUrl: lds, ResourceNamesSubscribe: []string{"*"}}}
	asked, missing, last, isUp := map[string]bool{}, map[string]bool{}, uint32(1<<30), false
	if *own {
		first = append([]*discovery.DeltaDiscoveryRequest{{TypeUrl: rtds, ResourceNamesSubscribe: []string{"fl"}}}, first...)
		missing[rtds+"fl"] = true
	}
	first[0].Node = node(id)
	for _, request := range first {
		if err := s.Send(request); err != nil {
			return err
		}
	}
	weigh := func(w uint32, now time.Time) {
		if w != last {
			last = w
			out <- seen{id, w, now}
		}
	}
	for {
		r, err := s.Recv()
		if err != nil {
			return err
		}
		now := time.Now()
		pushes.Add(1)
		if err := s.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce}); err != nil {
			return err
		}
		var names []string
		next := ""
		for _, res := range r.Resources {
			a := res.Resource
			bytesIn.Add(int64(len(a.Value)))
			delete(missing, r.TypeUrl+res.Name)
			switch r.TypeUrl {
			case cds:
				next = eds
				var c cluster.Cluster
				if a.UnmarshalTo(&c) == nil && c.GetType() == cluster.Cluster_EDS {
					sn := c.GetEdsClusterConfig().GetServiceName()
					if sn == "" {
						sn = c.Name
					}
					names = append(names, sn)
				}
			case lds:
				next = rds
				var l listener.Listener
				if a.UnmarshalTo(&l) == nil {
					names = append(names, routeNames(&l)...)
				}
			case rtds:
				if w, ok := runtimeWeight(a); ok {
					weigh(w, now)
				}
			case rds:
				if w, ok := canaryWeight(a); ok && !*own {
					weigh(w, now)
				}
			}
		}
		var fresh []string
		for _, k := range names {
			if !asked[next+k] {
				asked[next+k], missing[next+k] = true, true
				fresh = append(fresh, k)
			}
		}
		if len(fresh) > 0 {
			if err := s.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: next, ResourceNamesSubscribe: fresh}); err != nil {
				return err
			}
		}
		if !isUp && last != 1<<30 && len(asked) > 0 && len(missing) == 0 {
			isUp = true
			up.Add(1)
		}
	}
}

func patch(hc *http.Client, w int) error {
	mark := "null"
	if *own {
		run := fmt.Sprintf(`{"canary":{"namespace":"%[2]s","name":"%[1]s","uid":"adsload"},"run":"adsload","revision":"adsload","primaryHost":"%[1]s-primary.%[2]s.svc.cluster.local","canaryHost":"%[1]s-canary.%[2]s.svc.cluster.local"}`, *vs, *ns)
		quoted, _ := json.Marshal(run)
		mark = string(quoted)
	}
	body := fmt.Sprintf(`{"metadata":{"annotations":{"fairlead.dev/run":%[4]s}},"spec":{"hosts":["%[1]s"],"gateways":["mesh"],"http":[{"route":[{"destination":{"host":"%[1]s-primary"},"weight":%[2]d},{"destination":{"host":"%[1]s-canary"},"weight":%[3]d}]}]}}`, *vs, 100-w, w, mark)
	req, _ := http.NewRequest("PATCH", fmt.Sprintf("%s/apis/networking.istio.io/v1/namespaces/%s/virtualservices/%s", *api, *ns, *vs), bytes.NewReader([]byte(body)))
	req.Header.Set("Authorization", "Bearer "+*token)
	req.Header.Set("Content-Type", "application/merge-patch+json")
	res, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", res.Status, b)
	}
	return nil
}

func main() {
	flag.Parse()
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if err := patch(hc, 1); err != nil {
		fmt.Println("patch:", err)
		os.Exit(1)
	}
	out := make(chan seen, *n*4)
	var up atomic.Int64
	ctx := context.Background()
	start := time.Now()
	var wg sync.WaitGroup
	sem := make(chan struct{}, 64)
	for i := 0; i < *n; i++ {
		conn, err := grpc.NewClient(*addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(wire{}), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
		if err != nil {
			panic(err)
		}
		sem <- struct{}{}
		go func(i int) {
			go func() { time.Sleep(20 * time.Millisecond); <-sem }()
			for {
				run := client
				if *delta {
					run = deltaClient
				}
				err := run(ctx, conn, i, out, &up)
				fmt.Fprintln(os.Stderr, "client", i, err)
				time.Sleep(time.Second)
			}
		}(i)
	}
	state := make([]uint32, *n)
	deadline, tick := time.After(180*time.Second), time.NewTicker(5*time.Millisecond)
	for up.Load() < int64(*n) {
		select {
		case <-tick.C:
		case s := <-out:
			state[s.client] = s.weight
		case <-deadline:
			fmt.Printf("only %d of %d clients got a route in 180 s\n", up.Load(), *n)
			os.Exit(1)
		}
	}
	wg.Wait()
	connect := time.Since(start).Seconds()
	say("connected %d clients in %.2f s, %d pushes, %.1f MB\n", *n, connect, pushes.Load(), float64(bytesIn.Load())/1e6)
	figures := map[string]any{"clients": *n, "connectSeconds": round(connect), "connectMB": round(float64(wireIn.Load()) / 1e6)}
	time.Sleep(time.Second)
	var p50s, p99s, maxs, apis []float64
	messages, wireBytes := int64(0), int64(0)
	for r := 0; r < *rounds; r++ {
		w := 2 + r%90
		time.Sleep(*pause)
		for len(out) > 0 {
			<-out
		}
		p0, b0 := pushes.Load(), wireIn.Load()
		t0 := time.Now()
		if err := patch(hc, w); err != nil {
			panic(err)
		}
		t1 := time.Now()
		var ds []float64
		to := time.After(60 * time.Second)
		for len(ds) < *n {
			select {
			case s := <-out:
				if s.weight == uint32(w) {
					ds = append(ds, s.at.Sub(t0).Seconds()*1000)
				}
			case <-to:
				fmt.Printf("round %d: only %d of %d saw weight %d in 60 s\n", r, len(ds), *n, w)
				os.Exit(1)
			}
		}
		sort.Float64s(ds)
		p50, p99, max := ds[len(ds)/2], ds[len(ds)*99/100], ds[len(ds)-1]
		p50s, p99s, maxs = append(p50s, p50), append(p99s, p99), append(maxs, max)
		apis = append(apis, t1.Sub(t0).Seconds()*1000)
		// What comes late counts too.
		time.Sleep(100 * time.Millisecond)
		messages += pushes.Load() - p0
		wireBytes += wireIn.Load() - b0
		say("round %d: api %.1f ms, first %.1f p50 %.1f p99 %.1f last %.1f ms, %d pushes\n", r, apis[r], ds[0], p50, p99, max, pushes.Load()-p0)
	}
	if *rounds > 0 {
		say("median over rounds: p50 %.1f ms p99 %.1f ms last %.1f ms\n", med(p50s), med(p99s), med(maxs))
		per := float64(*rounds * *n)
		figures["p50Ms"], figures["p99Ms"], figures["lastMs"], figures["apiMs"] = round(med(p50s)), round(med(p99s)), round(med(maxs)), round(med(apis))
		figures["messagesPerClient"], figures["bytesPerClient"] = round(float64(messages)/per), round(float64(wireBytes)/per)
	}
	if *asJSON {
		line, _ := json.Marshal(figures)
		fmt.Println(string(line))
	}
	if *hold {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

func med(x []float64) float64 { sort.Float64s(x); return x[len(x)/2] }

func round(x float64) float64 { return math.Round(x*100) / 100 }
