//go:build linux

package main

import (
	"strings"

	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/text"
)

// leastWidth is what every line of a status fits into, in columns; a terminal may have
// more of them.
const leastWidth = 80

// page is what status prints: lines that fit.
type page struct {
	out   string
	width int
	color bool
}

// row is one line of a table, and what belongs to it.
type row struct {
	cells []string
	last  string // beside the cells where it fits, else below
	paint logline.Color
	under func() // adds what stands below; may be nil
}

// table adds rows, the first of which is a head where they are not indented: columns with
// two blanks between them, the widest shortened until all fit.
func (p *page) table(indent string, rows ...row) {
	head := rows[0]
	width := make([]int, len(head.cells))
	room := p.width
	for _, r := range rows {
		for i, cell := range r.cells {
			r.cells[i] = text.Escape(cell)
			width[i] = max(width[i], columns(r.cells[i]))
		}
		if r.last == "yes" || r.last == "no" {
			room = p.width - columns(head.last) // it is to stand beside
		}
	}
	for over := 1; over > 0; {
		widest := 0
		over = len(indent) - room
		for i, w := range width {
			over += w + 2
			if w > width[widest] {
				widest = i
			}
		}
		if over = min(over, width[widest]-1); over > 0 {
			width[widest] -= over
		}
	}
	for i, r := range rows {
		line := indent
		for k, cell := range r.cells {
			cell = pinch(cell, width[k])
			line += cell + strings.Repeat(" ", width[k]-columns(cell)+2)
		}
		last := text.Escape(r.last)
		if columns(line+last) <= p.width {
			line, last = line+last, ""
		}
		p.line(r.paint, strings.TrimRight(line, " "))
		if last != "" && (i > 0 || indent != "") {
			p.wrap(0, indent+nested, last)
		}
		if r.under != nil {
			r.under()
		}
	}
}

// nested is before what stands below a row.
const nested = "     "

// line adds one that fits.
func (p *page) line(paint logline.Color, line string) {
	line = cut(line, p.width)
	if p.color && paint != 0 {
		line = logline.Paint(paint, line)
	}
	p.out += line + "\n"
}

// wrap adds s, which is escaped, on as many lines as it takes, all but the first indented
// by two more.
func (p *page) wrap(paint logline.Color, indent, s string) {
	for more := ""; ; more = "  " {
		n := fit(s, p.width-len(indent+more))
		if n < len(s) {
			if at := strings.LastIndexByte(s[:n+1], ' '); at > 0 {
				n = at
			}
		}
		p.line(paint, indent+more+s[:n])
		if s = strings.TrimLeft(s[n:], " "); s == "" {
			return
		}
	}
}

// fit is how many bytes of s take no more than so many columns.
func fit(s string, most int) int {
	for i, r := range s {
		if most -= wide(r); most < 0 {
			return i
		}
	}
	return len(s)
}

// wide is how many columns a character takes: two from the first of the Far East on, among
// which are some that take one.
func wide(r rune) int {
	if r >= 0x2e80 {
		return 2
	}
	return 1
}

func columns(s string) (n int) {
	for _, r := range s {
		n += wide(r)
	}
	return n
}

// pinch is cut in the middle: of names and addresses both ends tell something.
func pinch(s string, most int) string {
	left := columns(s) - most
	if left <= 0 {
		return s
	}
	head := fit(s, most/2)
	for i, r := range s[head:] {
		if left < 0 {
			return s[:head] + "…" + s[head+i:]
		}
		left -= wide(r)
	}
	return s[:head] + "…"
}

// cut shortens s to at most so many columns.
func cut(s string, most int) string {
	if columns(s) > most {
		return s[:fit(s, most-1)] + "…"
	}
	return s
}
