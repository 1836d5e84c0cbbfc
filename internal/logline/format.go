package logline

import (
	"slices"
	"strconv"
	"time"

	"github.com/fatih/color"
	"github.com/swapinit/swapinit/internal/json"
	"github.com/swapinit/swapinit/internal/text"
)

// A line with its newline fits into PIPE_BUF (4096 on Linux).
const (
	maxLine    = 4096
	maxMessage = 3072 // of a JSON line, escaped
	maxEvent   = 128
)

// Level is the severity of a line; a greater one is less severe.
type Level uint8

// The levels of SWAPINIT_LOG.
const (
	Error Level = iota
	Warn
	Info
	Debug
)

// Levels are the names of the levels in order, as SWAPINIT_LOG accepts them.
var Levels = [...]string{"error", "warn", "info", "debug"}

// ParseLevel is the level of that name, Error for any other.
func ParseLevel(s string) Level { return Level(max(slices.Index(Levels[:], s), 0)) }

// Fields are what a line is about; zero values are left out.
type Fields struct {
	Generation int
	Pid        int
	Lost       int // lines
}

// appendText makes "swapinit: message\n".
func appendText(b []byte, paint bool, level Level, message string) []byte {
	// The longest colour sequences take less than 32 bytes.
	const room = maxLine - len("swapinit: \n") - 32
	message = text.Clip(text.Escape(text.Clip(message, maxLine)), room)
	prefix := "swapinit:"
	if paint {
		prefix = Paint(color.Faint, prefix)
		switch level {
		case Error:
			message = Paint(color.FgRed, message)
		case Warn:
			message = Paint(color.FgYellow, message)
		}
	}
	return append(b, prefix+" "+message+"\n"...)
}

// appendJSON makes one JSON object and a newline.
func appendJSON(b []byte, now time.Time, level Level, event, message string, f Fields) []byte {
	b = append(b, `{"time":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`+Levels[level]+`","event":`...)
	b = json.AppendString(b, event, maxEvent)
	b = appendField(b, "generation", f.Generation)
	b = appendField(b, "pid", f.Pid)
	b = append(b, `,"message":`...)
	b = json.AppendString(b, message, maxMessage)
	b = appendField(b, "lost", f.Lost)
	return append(b, "}\n"...)
}

func appendField(b []byte, name string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, `,"`+name+`":`...), int64(n), 10)
}
