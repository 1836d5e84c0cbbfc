// Package cgroup tells in which control groups this process is, and what their limits leave.
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

// Memory is the limit of memory that is nearest, of our cgroup's and those above it, and how
// much is in use there that cannot be given back: the page cache can, and what no process has
// mapped any more has gone. 0, 0 where there is no limit, or none can be seen.
func Memory() (limit, used int64) {
	return memory(Folders("/proc/self/cgroup", "/sys/fs/cgroup", "memory"))
}

func memory(dirs []string) (limit, used int64) {
	return nearest(dirs, []string{"/memory.max", "/memory.limit_in_bytes"}, func(dir string) (used int64) {
		text, _ := file.Read(dir + "/memory.stat")
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, " ")
			switch name {
			case "anon", "shmem", "total_rss", "total_shmem": // version 2, version 1
				n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				used += n
			}
		}
		return used
	})
}

// Tasks is the same of processes and threads.
func Tasks() (limit, used int64) {
	return tasks(Folders("/proc/self/cgroup", "/sys/fs/cgroup", "pids"))
}

func tasks(dirs []string) (limit, used int64) {
	return nearest(dirs, []string{"/pids.max"}, func(dir string) int64 {
		n, _ := number(dir + "/pids.current")
		return n
	})
}

// nearest is the limit of which the least is left, in files with one of the names.
func nearest(dirs, names []string, use func(dir string) int64) (limit, used int64) {
	for _, dir := range dirs {
		for _, name := range names {
			most, ok := number(dir + name)
			if !ok || most >= unlimited {
				continue // "max", say
			}
			if n := use(dir); n > 0 && (limit == 0 || most-n < limit-used) {
				limit, used = most, n
			}
		}
	}
	return limit, used
}

// unlimited is more than any machine has. Version 1 says so in bytes.
const unlimited = 1 << 60

func number(name string) (int64, bool) {
	text, err := file.Read(name)
	n, failed := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && failed == nil
}
