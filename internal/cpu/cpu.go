// Package cpu tells how many CPUs this process may use.
package cpu

import (
	"runtime"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/cgroup"
	"github.com/swapinit/swapinit/internal/file"
	"golang.org/x/sys/unix"
)

// Allowed returns the number of CPUs, at least 1: those that this thread may
// run on, or fewer if a cgroup that it is in has a lower quota, rounded up. It
// reads at each call what `docker update` and the like can change.
func Allowed() int {
	n := runtime.NumCPU() // as it was at start
	var set unix.CPUSet
	// It fails on machines with more CPUs than the set has room for.
	if err := unix.SchedGetaffinity(0, &set); err == nil && set.Count() > 0 {
		n = set.Count()
	}
	return limit(n, "/proc/self/cgroup", "/sys/fs/cgroup")
}

// limit is n, or less by the quotas of the cgroups that we are in, each of which
// limits those in it; the arguments are for cgroup.Folders. What cannot be read limits
// nothing.
func limit(n int, membership, mount string) int {
	for _, dir := range cgroup.Folders(membership, mount, "cpu") {
		n = min(n, quota(dir))
	}
	return max(n, 1)
}

// quota is how many CPUs the cgroup at dir may use, rounded up.
func quota(dir string) int {
	text, err := file.Read(dir + "/cpu.max") // "150000 100000", "max 100000"
	if err != nil {
		text, _ = file.Read(dir + "/cpu.cfs_quota_us") // "150000", "-1"
		period, _ := file.Read(dir + "/cpu.cfs_period_us")
		text = append(append(text, ' '), period...)
	}
	const unlimited = 1 << 30
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return unlimited
	}
	time, err := strconv.ParseUint(fields[0], 10, 64)
	period, periodErr := strconv.ParseUint(fields[1], 10, 64)
	if err != nil || periodErr != nil || period == 0 || time/period >= unlimited {
		return unlimited
	}
	n := int(time / period)
	if time%period > 0 {
		n++
	}
	return n
}
