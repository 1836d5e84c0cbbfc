// Package pristine gives tests the surroundings that they expect, wherever they
// are run from.
package pristine

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Signals gives the default action back to signals that whoever runs the tests
// has us ignore (make does so to 32 and 33, a shell to INT and QUIT of what it
// runs in the background): children would inherit that. os/signal knows neither
// all of them nor a way to do it. To be called first in TestMain.
func Signals() {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	_, after, _ := strings.Cut(string(status), "SigIgn:\t")
	line, _, _ := strings.Cut(after, "\n")
	ignored, _ := strconv.ParseUint(line, 16, 64)
	for sig := range 64 {
		if ignored&(1<<sig) != 0 {
			var standard [4]uint64 // struct sigaction with SIG_DFL
			_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig+1), uintptr(unsafe.Pointer(&standard)), 0, 8, 0, 0)
		}
	}
}
