package docs_test

import (
	"os"
	"strings"
	"testing"

	pid1 "github.com/swapinit/swapinit/init"
	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/swap"
)

// table renders rows, the first of which has the heads of the columns.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		for _, cell := range row {
			b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// compare holds the part of a page that has this name to the code; with -update
// it writes that part.
func compare(t *testing.T, page, name string, rows [][]string) {
	t.Helper()
	text := read(t, page)
	start, end := "<!-- "+name+": written by go test ./docs -update -->\n\n", "\n<!-- end of "+name+" -->\n"
	before, rest, found := strings.Cut(text, start)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no %q", page, name)
	}
	want := table(rows)
	if got == want {
		return
	}
	if !*update {
		t.Errorf("%s: the table of %s is stale; run: go test ./docs -update", page, name)
		return
	}
	if err := os.WriteFile(page, []byte(before+start+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTableOfSettings(t *testing.T) {
	rows := [][]string{{"Variable", "Default", "Accepts", "Meaning"}}
	for _, v := range config.Variables(pid1.Parsers()) {
		preset := "empty"
		if v.Default != "" {
			preset = "`" + v.Default + "`"
		}
		if strings.Count(v.Help, "^")%2 != 0 {
			t.Errorf("%s: the code marks are wrong", v.Name)
		}
		rows = append(rows, []string{"`" + v.Name + "`", preset, v.Accepts, strings.ReplaceAll(v.Help, "^", "`")})
	}
	compare(t, environmentPage, "settings", rows)
}

func TestTableOfEvents(t *testing.T) {
	rows := [][]string{{"event", "when", "fields"}}
	for _, s := range swap.Stages {
		if s.Logged {
			continue
		}
		fields := "`generation`"
		if s.Other {
			fields += " (the predecessor's)"
		}
		if s.Besides != "" {
			fields += ", `" + s.Besides + "`"
		}
		rows = append(rows, []string{"`" + string(s.Stage) + "`", s.Means, fields})
	}
	compare(t, controlPage, "events", rows)
}

func TestTableOfStages(t *testing.T) {
	rows := [][]string{{"stage", "when"}}
	for _, s := range swap.SwapStages {
		rows = append(rows, []string{"`" + s.Stage + "`", s.Means})
	}
	compare(t, controlPage, "stages", rows)
}

// The examples of errors are what a start says.
func TestExamplesOfErrors(t *testing.T) {
	for _, entry := range []string{"SWAPINIT_READY_TIMEOUT=30", "SWAPINIT_LITSEN=:8080"} {
		_, err := config.Load([]string{entry}, []string{"x"}, pid1.Parsers())
		if err == nil || !strings.Contains(read(t, environmentPage), "    swapinit: "+err.Error()+"\n") {
			t.Errorf("%s lacks %v", environmentPage, err)
		}
	}
}

func TestTableOfServers(t *testing.T) {
	rows := [][]string{{"Server", "ends gracefully at"}}
	doctor.EachServer(func(name, stops string) {
		rows = append(rows, []string{name, strings.ReplaceAll(stops, " ", ", ")})
	})
	compare(t, "check.md", "the servers", rows)
}
