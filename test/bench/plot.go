package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The measures of the plot, in pixels: a panel a contender, in two columns by what the old
// server does.
const (
	plotWidth   = 880
	panelHeight = 96
	panelLeft   = 46  // where a panel's time begins, from its column's left
	panelWide   = 370 // of its time
	columnWide  = plotWidth / 2
	plotTop     = 94
	panelStep   = panelHeight + 38
)

// The vertical scale is logarithmic.
const (
	plotFast = 3 * time.Millisecond
	plotSlow = 3 * time.Second
)

const plotHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="title desc">
  <title id="title">How long requests take while the server is replaced</title>
  <desc id="desc">%[3]s</desc>
  <style>
    .ground { fill: #ffffff; stroke: #d0d7de; }
    .panel { fill: none; stroke: #d0d7de; }
    .grid { stroke: #eaeef2; }
    .swap { stroke: #bf8700; stroke-dasharray: 3 3; }
    .answer { stroke: #0969da; }
    .failed { stroke: #cf222e; stroke-width: 1.5; }
    text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
    .name { font-weight: 500; } .head { font-size: 13px; font-weight: 600; }
    .axis { fill: #6e7781; font-size: 10px; text-anchor: end; } .note { fill: #6e7781; font-size: 11px; }
    .bad { fill: #cf222e; font-weight: 600; } .good { fill: #1a7f37; font-weight: 600; }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #30363d; } .panel { stroke: #30363d; } .grid { stroke: #21262d; }
      text { fill: #e6edf3; } .axis, .note { fill: #8b949e; } .answer { stroke: #58a6ff; }
      .swap { stroke: #d29922; } .failed { stroke: #ff7b72; } .bad { fill: #ff7b72; } .good { fill: #56d364; }
    }
  </style>
  <rect class="ground" x="0.5" y="0.5" width="%[4]d" height="%[5]d" rx="8"/>
`

// plot draws each trace: from left to right when a request was due, upwards how long it took;
// a line where a swap began; a red stroke at the top where a request failed.
func plot(all []*trace) string {
	var columns [2][]*trace
	for _, t := range all {
		if len(t.Trace) > 0 && t.err == nil {
			column := 0
			if !t.server.graceful {
				column = 1
			}
			columns[column] = append(columns[column], t)
		}
	}
	height := plotTop + panelStep*max(len(columns[0]), len(columns[1])) + 8
	var said []string
	for _, t := range all {
		if len(t.Trace) > 0 {
			said = append(said, fmt.Sprintf("%s, the old server %s: %d of %d failed, the slowest answer took %s",
				kindNames[t.kind], t.server.name, t.Failed, t.Requests, milliseconds(t.took(1))))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, plotHead, plotWidth, height, strings.Join(said, "; "), plotWidth-1, height-1)
	for i, note := range []string{
		fmt.Sprintf("%d requests a second, each on a new connection and sent when it is due; the server takes 5 ms.", tracePace),
		"Bars: from the fastest answer to the slowest. Dashed: a swap begins. Red: a request failed.",
	} {
		fmt.Fprintf(&b, "  <text class=\"note\" x=\"14\" y=\"%d\">%s</text>\n", 20+16*i, note)
	}
	for i, title := range []string{"The old server finishes what it has accepted", "The old server dies at once on TERM"} {
		fmt.Fprintf(&b, "  <text class=\"head\" x=\"%d\" y=\"64\">%s</text>\n", columnWide*i+14, title)
		for k, t := range columns[i] {
			t.draw(&b, columnWide*i+panelLeft, plotTop+panelStep*k)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// plotNames are shorter.
var plotNames = strings.NewReplacer(" (unmodified)", "", "one shared socket", "shared socket")

// plotHeight is how far below the top of its panel a time is.
func plotHeight(d time.Duration) float64 {
	d = min(max(d, plotFast), plotSlow)
	return panelHeight * (1 - math.Log(float64(d)/float64(plotFast))/math.Log(float64(plotSlow)/float64(plotFast)))
}

func (t *trace) draw(b *strings.Builder, x, y int) {
	fmt.Fprintf(b, "  <g transform=\"translate(%d %d)\">\n", x, y)
	class, said := "good", "none failed"
	if t.Failed > 0 {
		class, said = "bad", fmt.Sprintf("%d failed", t.Failed)
	}
	fmt.Fprintf(b, "    <text class=\"name\" x=\"0\" y=\"-7\">%s</text><text class=\"%s\" x=\"%d\" y=\"-7\" text-anchor=\"end\">%s, slowest %s</text>\n",
		plotNames.Replace(kindNames[t.kind]), class, panelWide, said, milliseconds(t.took(1)))
	for _, d := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		fmt.Fprintf(b, "    <path class=\"grid\" d=\"M0 %.1fH%d\"/><text class=\"axis\" x=\"-5\" y=\"%.1f\">%v</text>\n", plotHeight(d), panelWide, plotHeight(d)+3, d)
	}
	var last time.Duration
	for _, r := range t.Trace {
		last = max(last, r.Began)
	}
	at := func(d time.Duration) float64 { return panelWide * float64(d) / float64(last+1) }
	for _, s := range t.swaps {
		fmt.Fprintf(b, "    <path class=\"swap\" d=\"M%.1f 0V%d\"/>\n", at(s), panelHeight)
	}
	// A request a dot would be a picture of a megabyte: the dots above one another are a bar.
	fast, slow := map[int]time.Duration{}, map[int]time.Duration{}
	var answers, failed strings.Builder
	for _, r := range t.Trace {
		column := int(at(r.Began))
		if r.Failed {
			fmt.Fprintf(&failed, "M%d 0v10", column)
			continue
		}
		if d, seen := fast[column]; !seen || r.Took < d {
			fast[column] = r.Took
		}
		slow[column] = max(slow[column], r.Took)
	}
	for column := range panelWide {
		if d, seen := fast[column]; seen {
			fmt.Fprintf(&answers, "M%d %.1fV%.1f", column, plotHeight(d)+0.5, plotHeight(slow[column])-0.5)
		}
	}
	fmt.Fprintf(b, "    <path class=\"answer\" d=\"%s\"/>\n", answers.String())
	if t.Failed > 0 {
		fmt.Fprintf(b, "    <path class=\"failed\" d=\"%s\"/>\n", failed.String())
	}
	fmt.Fprintf(b, "    <rect class=\"panel\" width=\"%d\" height=\"%d\"/>\n  </g>\n", panelWide, panelHeight)
}
