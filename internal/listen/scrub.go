package listen

import (
	"slices"
	"strings"
)

// staleNames: some dialect talks by these variables to one process about its
// descriptors, its pid or its supervisor. What swapinit's own environment says
// there was said to swapinit. LISTEN_ and WATCHDOG_ are no prefixes here:
// LISTEN_ADDR and the like belong to applications.
var staleNames = []string{
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "SYSTEMD_EXEC_PID",
	// libuv would fail on a channel that swapinit has closed.
	"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
}

// Scrub returns environ without the stale variables of all dialects, and
// without everything of swapinit's own (SWAPINIT_), which no child sees
// unless it is put there again. The slice it was given is left as it is.
func Scrub(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(staleNames, name) || strings.HasPrefix(name, "SERVER_STARTER_") || strings.HasPrefix(name, "EINHORN_") || strings.HasPrefix(name, "SWAPINIT_")
	})
}
