// Package cgroup tells in which control groups this process is.
package cgroup

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/file"
)

// Folders lists the folders of the cgroups, both versions', that the file membership
// names (see cgroups(7)) and that have the controller, in the hierarchies below mount:
// each group and those above it, up to the root. In a container the path can be one of
// the host's, which is not there: then the root is ours.
func Folders(membership, mount, controller string) (dirs []string) {
	text, _ := file.Read(membership)
	for line := range strings.SplitSeq(string(text), "\n") {
		// "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
		_, line, _ = strings.Cut(line, ":")
		controllers, dir, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		root := mount
		if controllers != "" {
			if !strings.Contains(","+controllers+",", ","+controller+",") {
				continue
			}
			// Mounted with others it has a link of this name; theirs may come in
			// another order than here.
			root = mount + "/" + controller
		}
		for dir = filepath.Clean("/" + dir); ; dir = filepath.Dir(dir) {
			dirs = append(dirs, root+dir)
			if dir == "/" {
				break
			}
		}
	}
	return dirs
}

// MemoryKills is how many processes of our cgroup the kernel has killed for want of
// memory, be it the cgroup's limit or the machine's; 0 where it does not tell.
func MemoryKills() int {
	return memoryKills(Folders("/proc/self/cgroup", "/sys/fs/cgroup", "memory"))
}

func memoryKills(dirs []string) int {
	for _, dir := range dirs {
		for _, name := range [...]string{"/memory.events", "/memory.oom_control"} { // version 2, version 1
			text, _ := file.Read(dir + name)
			for line := range strings.Lines(string(text)) {
				if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
					n, _ := strconv.Atoi(strings.TrimSpace(value))
					return n
				}
			}
		}
	}
	return 0
}
