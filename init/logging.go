package pid1

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/signals"
)

// logger writes all messages of the init, from any goroutine. The rules: stderr
// only, one line an event, lower case, no full stop; info speaks of swaps and of
// nothing else, so that a container which only starts and stops is silent.
type logger struct{ out *logline.Logger }

func (l logger) say(level logline.Level, event, message string, generation, pid int) {
	l.out.Log(level, event, message, logline.Fields{Generation: generation, Pid: pid})
}

func (l logger) debug(event, message string, generation, pid int) {
	l.say(logline.Debug, event, message, generation, pid)
}

func (l logger) info(event, message string, generation, pid int) {
	l.say(logline.Info, event, message, generation, pid)
}

func (l logger) warn(event, message string, generation, pid int) {
	l.say(logline.Warn, event, message, generation, pid)
}

func (l logger) fail(event, message string, generation int) {
	l.say(logline.Error, event, message, generation, 0)
}

// about logs what concerns w.
func (l logger) about(level logline.Level, event string, w *worker, text string) {
	l.say(level, event, w.named()+text, w.g.number, w.pid())
}

// orphans returns what logs each process that nobody owns, nil if that is not
// wanted: thousands may come at once.
func (l logger) orphans(level logline.Level) func(pid int, ws syscall.WaitStatus) {
	if !l.out.Enabled(level) {
		return nil
	}
	return func(pid int, ws syscall.WaitStatus) {
		l.say(level, "orphan", "reaped orphan "+itoa(pid)+", which "+describe(ws), 0, pid)
	}
}

func describe(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "was ended by " + signals.Name(ws.Signal())
	}
	return "exited with status " + itoa(ws.ExitStatus())
}
