package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The measures of the picture, in pixels.
const (
	width  = 760
	top    = 58 // the first line's base
	step   = 19 // from one line to the next
	left   = 18
	bottom = 18
)

// classes are the looks of the lines.
var classes = map[kind]string{typed: "typed", printed: "out", refused: "bad", counted: "load"}

const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="title desc">
  <title id="title">A swap, a release that fails, and a rollback, under load</title>
  <desc id="desc">%[3]s</desc>
  <style>
    .ground { fill: #ffffff; stroke: #d0d7de; }
    .bar { stroke: #d0d7de; }
    text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; fill: #24292f; }
    .top, .time { fill: #6e7781; font-size: 12px; }
    .time { text-anchor: end; }
    .typed { font-weight: bold; } .bad { fill: #cf222e; } .load { fill: #1a7f37; }
    .line { animation: appear 1ms linear both; }
    @keyframes appear { from { opacity: 0; } to { opacity: 1; } }
    @media (prefers-reduced-motion: reduce) { .line { animation: none; } }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #30363d; }
      .bar { stroke: #30363d; }
      text { fill: #e6edf3; }
      .top, .time { fill: #8b949e; }
      .bad { fill: #ff7b72; } .load { fill: #56d364; }
    }
  </style>
  <rect class="ground" x="0.5" y="0.5" width="%[4]d" height="%[5]d" rx="8"/>
  <text class="top" x="18" y="22">swapinit is PID 1; the server knows nothing of it, and drops all connections on TERM</text>
  <path class="bar" d="M0 34 H%[1]d"/>
`

// draw draws the lines; they appear when they were printed. The same lines give the same
// bytes.
func draw(lines []line) string {
	var said []string
	for _, l := range lines {
		said = append(said, prompt(l))
	}
	lines = wrap(lines)
	height := top + step*(len(lines)-1) + bottom
	var b strings.Builder
	fmt.Fprintf(&b, head, width, height, escape(strings.Join(said, "; ")), width-1, height-1)
	var began time.Duration
	for i, l := range lines {
		y := top + step*i
		if l.kind == typed {
			began = l.at
		}
		fmt.Fprintf(&b, `  <g class="line" style="animation-delay: %dms"><text class="%s" x="%d" y="%d">%s</text>`,
			l.at.Milliseconds(), classes[l.kind], left, y, escape(prompt(l)))
		if l.kind != typed && (i+1 == len(lines) || lines[i+1].at != l.at || !strings.HasPrefix(lines[i+1].text, more)) {
			fmt.Fprintf(&b, `<text class="time" x="%d" y="%d">%.2f s</text>`, width-left, y, (l.at - began).Seconds())
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// columns is how many characters stand before the times; more begins the rest of a line
// that has more of them.
const (
	columns = 82
	more    = "  "
)

// wrap breaks lines that are too long between words.
func wrap(lines []line) (all []line) {
	for _, l := range lines {
		for len(l.text) > columns {
			at := strings.LastIndexByte(l.text[:columns], ' ')
			if at <= len(more) {
				break
			}
			rest := l
			l.text, rest.text = l.text[:at], more+l.text[at+1:]
			all, l = append(all, l), rest
		}
		all = append(all, l)
	}
	return all
}

// prompt is a line as the terminal has it.
func prompt(l line) string {
	if l.kind == typed {
		return "# " + l.text
	}
	return l.text
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
