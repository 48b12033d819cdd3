import type { Mount } from "./mounts.ts";

/**
 * Gives one container its mounts at their paths, in a mount namespace of its own, and goes on with the command.
 *
 * A path that this machine does not have is made without touching the machine: its nearest folder gets a layer over it
 * that is in memory, or, where that is `/`, the container a root folder of its own into which everything is bound.
 * The sources are bound first, since a layer may hide them. What fails is said in the container's log, and the files are
 * found by `FAIRLEAD_MOUNTS` all the same.
 */
const script = `
stage=$1 count=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs "$stage" || echo "fairlead: no mounts: see FAIRLEAD_MOUNTS" >&2
fail() { echo "fairlead: cannot mount at $1: see FAIRLEAD_MOUNTS" >&2; }
above() {
  folder=$1
  while [ ! -e "$folder" ]; do folder=\${folder%/*}; folder=\${folder:-/}; done
  readlink -f "$folder"
}
root= index=0
while [ "$index" -lt "$count" ]; do
  if [ -d "$1" ]; then mkdir "$stage/$index"; else : >"$stage/$index"; fi
  mount --rbind "$1" "$stage/$index" || fail "$2"
  echo "$2" >"$stage/$index.target"
  echo "$3" >"$stage/$index.mode"
  if [ "$(above "$2")" = / ]; then root=$stage/root; fi
  index=$((index + 1))
  shift 3
done
if [ -n "$root" ]; then
  mkdir "$root"
  mount --bind "$root" "$root"
  mkdir "$root/.old"
  for entry in /* /.[!.]*; do
    if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
    elif [ -d "$entry" ]; then mkdir "$root$entry"; mount --rbind "$entry" "$root$entry"
    elif [ -e "$entry" ]; then : >"$root$entry"; mount --bind "$entry" "$root$entry"; fi
  done
  pivot_root "$root" "$root/.old" && cd / && umount -l /.old && rmdir /.old
fi
# Paths below which nothing is the machine's own any more: layers, and the volumes themselves.
owned=/
isOwned() {
  for path in $owned; do
    if [ "$1" = "$path" ]; then return 0; fi
    case $1 in "$path"/*) return 0 ;; esac
  done
  return 1
}
layer() {
  mkdir -p "$stage/layer$index/upper" "$stage/layer$index/work" "$stage/layer$index/under"
  mount --rbind "$1" "$stage/layer$index/under"
  points=$(while read -r _ _ _ _ point _; do case $point in "$1"/*) echo "$point" ;; esac; done </proc/self/mountinfo)
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$stage/layer$index/upper,workdir=$stage/layer$index/work" "$1"
  for point in $points; do mount --rbind "$stage/layer$index/under\${point#"$1"}" "$point"; done
  owned="$owned $1"
}
index=0
while [ "$index" -lt "$count" ]; do
  read -r target <"$stage/$index.target"
  read -r mode <"$stage/$index.mode"
  if [ ! -e "$target" ]; then
    folder=$(above "$target")
    isOwned "$folder" || layer "$folder"
    if [ -d "$stage/$index" ]; then mkdir -p "$target"; else mkdir -p "\${target%/*}" && : >"$target"; fi
  fi
  mount --rbind "$stage/$index" "$target" || fail "$target"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$target"; fi
  owned="$owned $target"
  index=$((index + 1))
done
exec "$@"
`;

/**
 * The words before a command that give it its mounts, outer ones first.
 *
 * @param stage an empty folder for the mounts' making
 */
export function mountCommand(mounts: readonly Mount[], stage: string): readonly string[] {
  const ordered = mounts.toSorted((a, b) => a.mountPath.length - b.mountPath.length);
  const words = ordered.flatMap(({ source, mountPath, readOnly }) => [
    source,
    mountPath,
    readOnly ? "ro" : "rw",
  ]);
  return [
    ...["unshare", "--mount", "--propagation", "private", "--"],
    ...["/bin/sh", "-c", script, "fairlead", stage, String(ordered.length), ...words],
  ];
}
