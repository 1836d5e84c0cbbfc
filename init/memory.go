package pid1

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// trimAfter is when start-up is over and most of the program that it has
// touched will not be needed for hours.
const trimAfter = 2 * time.Second

// trim takes the pages of the program file out of our page tables. They stay in
// the page cache, shared with whoever else runs the file, and come back by a
// minor fault when they are needed; meanwhile the kernel may evict them, and
// they do not count as this process's resident memory. Only mappings of the
// file that cannot be written are given back: nothing can be lost
// (MADV_DONTNEED in madvise(2)).
func trim() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	// The first mapping is the program's (proc_pid_maps(5)); all with its
	// device and inode are.
	program := ""
	for _, line := range strings.Split(string(maps), "\n") {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		if program == "" {
			program = f[3] + f[4]
		}
		if f[3]+f[4] != program || f[1][1] == 'w' {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
