package pid1

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/signals"
)

// All messages of the init, from any goroutine, go through these. The rules:
// stderr only, one line an event, lower case, no full stop; info speaks of
// swaps and of nothing else, so that a container which only starts and stops is
// silent.

func (i *Init) say(level logline.Level, event, message string, generation, pid int) {
	i.log.Log(level, event, message, logline.Fields{Generation: generation, Pid: pid})
}

func (i *Init) debug(event, message string, generation, pid int) {
	i.say(logline.Debug, event, message, generation, pid)
}

func (i *Init) info(event, message string, generation, pid int) {
	i.say(logline.Info, event, message, generation, pid)
}

func (i *Init) warn(event, message string, generation, pid int) {
	i.say(logline.Warn, event, message, generation, pid)
}

// orphan is called by the reaper for every process that nobody owns.
func (i *Init) orphan(pid int, ws syscall.WaitStatus) {
	i.say(i.orphanLevel(), "orphan", "reaped orphan "+itoa(pid)+", which "+describe(ws), 0, pid)
}

func (i *Init) orphanLevel() logline.Level {
	if i.set.LogOrphans {
		return logline.Info
	}
	return logline.Debug
}

func describe(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "was ended by " + signals.Name(ws.Signal())
	}
	return "exited with status " + itoa(ws.ExitStatus())
}
