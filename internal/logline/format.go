package logline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fatih/color"
)

// A line with its newline fits into PIPE_BUF (4096 on Linux).
const (
	maxLine    = 4096
	maxMessage = 3072 // of a JSON line, escaped
	maxEvent   = 128
	maxKey     = 64
	maxValue   = 1024
	ellipsis   = "…"
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

// String is the level's name.
func (l Level) String() string {
	if int(l) < len(Levels) {
		return Levels[l]
	}
	return "debug"
}

// ParseLevel is the level of that name.
func ParseLevel(s string) (Level, error) {
	for i, name := range Levels {
		if s == name {
			return Level(i), nil
		}
	}
	return 0, errors.New("cannot use log level " + strconv.Quote(s) + ", accepted: " + strings.Join(Levels[:], ", "))
}

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
	message = clip(Escape(clip(message, maxLine)), room)
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
	b = append(b, level.String()...)
	b = append(b, `","event":`...)
	b = appendString(b, event, maxEvent)
	if f.Generation != 0 {
		b = append(b, `,"generation":`...)
		b = strconv.AppendInt(b, int64(f.Generation), 10)
	}
	if f.Pid != 0 {
		b = append(b, `,"pid":`...)
		b = strconv.AppendInt(b, int64(f.Pid), 10)
	}
	b = append(b, `,"message":`...)
	b = appendString(b, message, maxMessage)
	const tail = `,"truncated":true}` + "\n"
	for _, kv := range f.Extra {
		before := len(b)
		b = append(b, ',')
		b = appendString(b, kv.Key, maxKey)
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
		return appendString(b, v, maxValue)
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
	return appendString(b, fmt.Sprint(v), maxValue)
}

// appendString makes a JSON string (RFC 8259) of at most max bytes between the
// quotes, cut between characters. Whatever does not print is \u-escaped, also
// where JSON would not ask for it: a terminal may show the log. Bytes that are
// not UTF-8 become U+FFFD.
func appendString(b []byte, s string, max int) []byte {
	b = append(b, '"')
	start := len(b)
	for _, r := range s {
		before := len(b)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case strconv.IsPrint(r):
			b = utf8.AppendRune(b, r)
		default:
			const hex = "0123456789abcdef"
			for _, u := range utf16.AppendRune(nil, r) {
				b = append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		}
		if len(b)-start > max-len(ellipsis) {
			b = append(b[:before], ellipsis...)
			break
		}
	}
	return append(b, '"')
}

// Escape makes text from elsewhere fit for one line of a terminal: control and
// format characters (C0, C1, DEL, line separators, bidirectional overrides) and
// bytes that are not UTF-8 become Go escapes such as \n, \x1b, \u202e. A
// backslash stays as it is: the result is for reading, not for parsing.
func Escape(s string) string {
	q := strconv.Quote(s)
	var b []byte
	for i := 1; i < len(q)-1; i++ {
		if q[i] == '\\' && (q[i+1] == '\\' || q[i+1] == '"') {
			i++
		}
		b = append(b, q[i])
	}
	return string(b)
}

// clip shortens s to at most max bytes, between characters.
func clip(s string, max int) string {
	if len(s) <= max {
		return s
	}
	n := max - len(ellipsis)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + ellipsis
}
