package gate

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/signals"
)

// logger writes all messages of the gate, from any goroutine, by the rules of
// package pid1's. At info it says one line a takeover, and who has come, gone or failed.
type logger struct{ out *logline.Logger }

func (l logger) debug(event, message string) {
	l.out.Log(logline.Debug, event, message, logline.Fields{})
}
func (l logger) info(event, message string) {
	l.out.Log(logline.Info, event, message, logline.Fields{})
}
func (l logger) warn(event, message string) {
	l.out.Log(logline.Warn, event, message, logline.Fields{})
}
func (l logger) fail(event, message string) {
	l.out.Log(logline.Error, event, message, logline.Fields{})
}

// signalName is HUP for SIGHUP.
func signalName(sig syscall.Signal) string { return signals.Name(sig) }

// short is a container id as engines show it.
func short(container string) string {
	if len(container) > shortID {
		return container[:shortID]
	}
	return container
}

const shortID = 12

// named is a member for people: its release and container, or the container alone where
// that is its release.
func named(release, container string) string {
	if release == "" || release == container {
		return short(container)
	}
	return release + " (" + short(container) + ")"
}
