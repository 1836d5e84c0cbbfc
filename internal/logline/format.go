package logline

import (
	"fmt"
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
	maxKey     = 64
	maxValue   = 1024
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
	Extra      []KV
}

// KV is one further field of a JSON line. The key must not be one of the fixed
// names (time, level, event, generation, pid, message). Integers and booleans
// stay what they are, a time.Duration becomes whole milliseconds, anything else
// becomes text.
type KV struct {
	Key   string
	Value any
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

// appendJSON makes one JSON object and a newline. Fields that would make the
// line too long are left out, which "truncated":true says.
func appendJSON(b []byte, now time.Time, level Level, event, message string, f Fields) []byte {
	start := len(b)
	b = append(b, `{"time":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`...)
	b = append(b, Levels[level]...)
	b = append(b, `","event":`...)
	b = json.AppendString(b, event, maxEvent)
	if f.Generation != 0 {
		b = append(b, `,"generation":`...)
		b = strconv.AppendInt(b, int64(f.Generation), 10)
	}
	if f.Pid != 0 {
		b = append(b, `,"pid":`...)
		b = strconv.AppendInt(b, int64(f.Pid), 10)
	}
	b = append(b, `,"message":`...)
	b = json.AppendString(b, message, maxMessage)
	const tail = `,"truncated":true}` + "\n"
	for _, kv := range f.Extra {
		before := len(b)
		b = append(b, ',')
		b = json.AppendString(b, kv.Key, maxKey)
		b = append(b, ':')
		b = appendValue(b, kv.Value)
		if len(b)-start > maxLine-len(tail) {
			return append(b[:before], tail...)
		}
	}
	return append(b, "}\n"...)
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return json.AppendString(b, v, maxValue)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	case time.Duration:
		return strconv.AppendInt(b, v.Milliseconds(), 10)
	}
	return json.AppendString(b, fmt.Sprint(v), maxValue)
}
