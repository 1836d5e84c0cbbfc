//go:build linux

package main

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/logline"
)

// cellWidth is the most that a cell of a table takes; a script after sh -c
// would make the rest unreadable. --json has all of it.
const cellWidth = 60

// statusTable is what status prints for people.
func statusTable(s *control.Status) string {
	rows := [][]string{{"GENERATION", "STATE", "PID", "UPTIME", "READY", "COMMAND", "STATUS"}}
	for _, g := range s.Generations {
		ready := "-"
		if g.ReadyMS != nil {
			ready = span(*g.ReadyMS)
		}
		rows = append(rows, []string{strconv.Itoa(g.Generation), g.State, strconv.Itoa(g.Pid), span(g.UptimeMS), ready, shellWords(g.Command), g.Status})
	}
	out := table(rows, cellWidth)
	if len(s.Endpoints) > 0 {
		rows = [][]string{{"ENDPOINT", "ADDRESS"}}
		for _, e := range s.Endpoints {
			address := e.Address
			if e.Inherited {
				address += " (inherited)"
			}
			rows = append(rows, []string{e.Name, address})
		}
		out += "\n" + table(rows, 1<<20)
	}
	last := "none"
	if l := s.LastSwap; l != nil {
		last = generation(l.Generation)
		if l.OK {
			last += ", ok"
		} else {
			last += " failed: " + l.Reason
		}
	}
	return out + "\nlast swap: " + logline.Escape(last) + "\n"
}

// table aligns columns by two spaces, nothing after the last one. Cells are at
// most widest columns wide.
func table(rows [][]string, widest int) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cut(logline.Escape(cell), widest)
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

// shellWords quotes words where a shell would need it.
func shellWords(words []string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	out := ""
	for _, w := range words {
		if w == "" || strings.Trim(w, plain) != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out += " " + w
	}
	return strings.TrimPrefix(out, " ")
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
