package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table is a result whose cells are totals: no medians, no limits.
type table struct {
	Name    string     `json:"name"`
	How     string     `json:"how"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Notes   []string   `json:"notes,omitempty"`
}

func (t *table) text(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", t.Name, t.How)
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{t.Columns}, t.Rows...) {
		fmt.Fprintln(aligned, "  "+strings.Join(cells, "\t"))
	}
	aligned.Flush()
	for _, note := range t.Notes {
		fmt.Fprintln(w, "  "+note)
	}
	fmt.Fprintln(w)
}

func (t *table) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s.\n\n", strings.ToUpper(t.Name[:1])+t.Name[1:], t.How)
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(t.Columns, " | "), strings.Repeat("---|", len(t.Columns)))
	for _, cells := range t.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	for _, note := range t.Notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
}
