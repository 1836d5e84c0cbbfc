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

// table adds rows under a head, if that has cells: columns with two blanks between them,
// the widest shortened until all fit. together: what comes last stands beside the cells
// where that of each row fits, else it is cut to one line below; otherwise each for itself
// is, or is wrapped.
func (p *page) table(indent int, together bool, head row, rows ...row) {
	titled := len(head.cells) > 0
	if titled {
		rows = append([]row{head}, rows...)
	}
	width := make([]int, len(rows[0].cells))
	widestLast := 0
	for k, r := range rows {
		for i := range r.cells {
			r.cells[i] = text.Escape(r.cells[i])
			width[i] = max(width[i], columns(r.cells[i]))
		}
		rows[k].last = text.Escape(r.last)
		widestLast = max(widestLast, columns(rows[k].last))
	}
	room := p.width
	for _, r := range rows {
		if n := columns(head.last); !together && r.last != "" && columns(r.last) < n {
			room = p.width - n // it is to stand beside
		}
	}
	start := 0
	for {
		widest := 0
		start = indent
		for i, w := range width {
			start += w + 2
			if w > width[widest] {
				widest = i
			}
		}
		if start <= room || width[widest] == 1 {
			break
		}
		width[widest] = max(1, width[widest]-start+room)
	}
	for k, r := range rows {
		line := strings.Repeat(" ", indent)
		for i, cell := range r.cells {
			cell = pinch(cell, width[i])
			line += cell + strings.Repeat(" ", width[i]-columns(cell)+2)
		}
		last := columns(r.last)
		if together {
			last = widestLast
		}
		below := start+last > p.width
		if !below {
			line += r.last
		}
		p.line(r.paint, strings.TrimRight(line, " "))
		switch {
		case !below, titled && k == 0:
		case together:
			p.line(0, strings.Repeat(" ", indent+nested)+cut(r.last, p.width-indent-nested))
		default:
			p.wrap(0, indent+nested, r.last)
		}
		if r.under != nil {
			r.under()
		}
	}
}

// nested is how far what stands below a row is indented more than that.
const nested = 5

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
func (p *page) wrap(paint logline.Color, indent int, s string) {
	for more := 0; ; more = 2 {
		blanks := strings.Repeat(" ", indent+more)
		n := fit(s, p.width-indent-more)
		if n == len(s) {
			p.line(paint, blanks+s)
			return
		}
		if at := strings.LastIndexByte(s[:n+1], ' '); at > 0 {
			n = at
		}
		p.line(paint, blanks+s[:n])
		s = strings.TrimLeft(s[n:], " ")
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
