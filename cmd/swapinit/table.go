//go:build linux

package main

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
)

// cellWidth is the most that a cell of a table takes; a script after sh -c
// would make the rest unreadable. --json has all of it.
const cellWidth = 60

// statusTable is what status prints for people. What steering knows has columns
// where something is steered, or a reason says why it is not; WORKERS (ready ones
// and all) is one where a generation has more than one.
func statusTable(s *control.Status) string {
	if s.Gate != nil {
		return gateTable(s)
	}
	steered, many := false, false
	for i := range s.Generations {
		steered = steered || s.Generations[i].Share != nil
		many = many || len(s.Generations[i].Workers) > 1
	}
	rows := [][]string{{"GENERATION", "STATE", "PID", "UPTIME", "READY"}}
	if many {
		rows[0] = append(rows[0], "WORKERS")
	}
	if steered {
		rows[0] = append(rows[0], "SHARE", "OPEN", "IDLE", "QUEUED")
	}
	rows[0] = append(rows[0], "COMMAND", "STATUS")
	for _, g := range s.Generations {
		row := []string{strconv.Itoa(g.Generation), g.State, strconv.Itoa(g.Pid), span(g.UptimeMS), known(g.ReadyMS, span)}
		if many {
			up := 0
			for _, w := range g.Workers {
				if w.Ready {
					up++
				}
			}
			row = append(row, strconv.Itoa(up)+"/"+strconv.Itoa(len(g.Workers)))
		}
		if steered {
			row = append(row, known(g.Share, percent), known(g.Open, strconv.Itoa), known(g.Idle, strconv.Itoa), known(g.Queued, strconv.Itoa))
		}
		rows = append(rows, append(row, text.ShellWords(g.Command), g.Status))
	}
	out := table(rows, cellWidth)
	if len(s.Endpoints) > 0 {
		out += "\n" + table(endpointRows(s.Endpoints), 1<<20)
	}
	for i := range s.Endpoints {
		if e := &s.Endpoints[i]; e.Check != "" {
			out += "\n" + text.Escape(e.Name) + ": the successor is reached at " + text.Escape(e.Check) + "\n"
		}
	}
	if j := s.Joined; j != nil {
		out += "\ngate: " + text.Escape(j.Gate) + ", " + text.Escape(j.Role)
		if j.AwayMS != nil {
			out += ", away for " + span(*j.AwayMS)
		}
		out += "\n"
	}
	return out + "\nlast swap: " + text.Escape(lastSwap(s.LastSwap)) + "\n"
}

func endpointRows(endpoints []control.Endpoint) [][]string {
	rows := [][]string{{"ENDPOINT", "ADDRESS", ""}}
	for i := range endpoints {
		e := &endpoints[i]
		row := []string{e.Name, e.Address, "no"}
		if e.Inherited {
			row[1] += " (inherited)"
		}
		if e.Adopted {
			row[1] += " (adopted)"
		}
		if e.Steered {
			row[2] = "yes"
		}
		if e.Reason != "" {
			row[2] += ": " + e.Reason
		}
		if row[2] != "no" {
			rows[0][2] = "STEERED"
		}
		rows = append(rows, row)
	}
	if rows[0][2] == "" { // nothing to tell
		for i := range rows {
			rows[i] = rows[i][:2]
		}
	}
	return rows
}

// known shows a number that may not be known.
func known[N int | int64](n *N, show func(N) string) string {
	if n == nil {
		return "-"
	}
	return show(*n)
}

func percent(share int) string { return shares.Percent(share) + "%" }

// table aligns columns by two spaces, nothing after the last one. Cells are at
// most widest columns wide.
func table(rows [][]string, widest int) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cut(text.Escape(cell), widest)
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	out := ""
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2)
		}
		out += strings.TrimRight(line, " ") + "\n"
	}
	return out
}

// cut shortens s to at most this many characters.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// span is a duration in milliseconds for people: 12 ms, 1.2 s, 3m05s, 2h07m, 4d03h.
func span(ms int64) string {
	s := ms / 1000
	switch {
	case ms < 1000:
		return strconv.FormatInt(ms, 10) + " ms"
	case s < 60:
		return strconv.FormatInt(s, 10) + "." + strconv.FormatInt(ms%1000/100, 10) + " s"
	case s < 3600:
		return twoUnits(s, "m", 60, "s")
	case s < 86400:
		return twoUnits(s/60, "h", 60, "m")
	}
	return twoUnits(s/3600, "d", 24, "h")
}

// twoUnits is n of the small unit, of which size make one big one.
func twoUnits(n int64, big string, size int64, small string) string {
	digits := strconv.FormatInt(100+n%size, 10)[1:] // two of them
	return strconv.FormatInt(n/size, 10) + big + digits + small
}
