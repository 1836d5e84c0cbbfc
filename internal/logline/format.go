package logline

import (
	"slices"
	"strconv"
	"time"

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
		prefix = Paint(Faint, prefix)
		switch level {
		case Error:
			message = Paint(Red, message)
		case Warn:
			message = Paint(Yellow, message)
		}
	}
	return append(b, prefix+" "+message+"\n"...)
}

// appendJSON makes one JSON object and a newline.
func appendJSON(b []byte, now time.Time, level Level, event, message string, f Fields) []byte {
	b = append(b, `{"time":"`...)
	b = appendTime(b, now)
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

// Stamp is the present moment as lines have it.
func Stamp() string { return string(appendTime(nil, time.Now())) }

// appendTime appends a moment as RFC 3339 has it, in UTC. Package time would keep all
// formats and time zones in the binary for that. The day of the Gregorian calendar is
// counted from the first of March of the year 0, so that a leap day is the last of a year.
func appendTime(b []byte, at time.Time) []byte {
	seconds, days := at.Unix()%86400, at.Unix()/86400+719468
	era, day := days/146097, days%146097 // of 400 years
	year := (day - day/1460 + day/36524 - day/146096) / 365
	day -= 365*year + year/4 - year/100
	month := (5*day + 2) / 153
	day -= (153*month + 2) / 5
	year += 400*era + month/10
	month = (month+2)%12 + 1
	for k, n := range [...]int64{year, month, day + 1, seconds / 3600, seconds / 60 % 60, seconds % 60, int64(at.Nanosecond())} {
		digits := strconv.FormatInt(1e9+n, 10)
		width := [...]int{4, 2, 2, 2, 2, 2, 9}[k]
		b = append(append(b, digits[len(digits)-width:]...), "--T::.Z"[k])
	}
	return b
}
