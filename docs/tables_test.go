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
func compare(t *testing.T, page, name, want string) {
	t.Helper()
	text := read(t, page)
	start, end := "<!-- "+name+": written by go test ./docs -update -->\n\n", "\n<!-- end of "+name+" -->\n"
	before, rest, found := strings.Cut(text, start)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no %q", page, name)
	}
	if got == want {
		return
	}
	if !*update {
		t.Errorf("%s: the part %q is stale; run: go test ./docs -update", page, name)
		return
	}
	if err := os.WriteFile(page, []byte(before+start+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// settingGroup is a part of the environment page.
type settingGroup struct {
	title string // "" = those that most people need
	names string // less config.Prefix, in reading order
}

// settingGroups are all of them. A new setting goes into one; a test says so.
var settingGroups = []settingGroup{
	{"", "LISTEN READY READY_TIMEOUT STOP_SIGNAL KEEP DRAIN RETIRE_TIMEOUT DIR ENV_FILE WATCH GATE LOG"},
	{"Sockets", "ADOPT STEER EXPORT"},
	{"What is started", "SWAP_COMMAND TARGET_FILE USER NODE_IPC SIDE_<NAME>"},
	{"The swap", "SWAP_SIGNALS STRATEGY SETTLE WATCHDOG MAX_GENERATIONS PRE_SWAP POST_SWAP HOOK_TIMEOUT WATCH_SPLAY"},
	{"The traffic", "CANARY CANARY_BY CANARY_CHECK DRAIN_TIMEOUT IDLE_AFTER"},
	{"Workers", "WORKERS BATCH RESPAWN"},
	{"The stop", "STOP_SIGNALS STOP_DELAY STOP_DRAIN STOP_TIMEOUT LEFTOVER_TIMEOUT RETIRE_SIGNAL SIGNAL_MAP KILL_GROUP EXIT_MAP"},
	{"Below a gate", "GATE_ALLOW RELEASE"},
	{"Control and log", "CONTROL METRICS LOG_FORMAT COLOR"},
}

// definition is how the page tells of a setting.
func definition(t *testing.T, v config.Variable) string {
	t.Helper()
	if strings.Count(v.Help, "^")%2 != 0 {
		t.Errorf("%s: the code marks are wrong", v.Name)
	}
	preset := "none"
	if v.Default != "" {
		preset = "`" + v.Default + "`"
	}
	help := strings.ReplaceAll(v.Help, "^", "`")
	return "#### " + v.Name + "\n\n" + strings.ToUpper(help[:1]) + help[1:] + ".\n\n" +
		"- Default: " + preset + "\n- Accepts: " + v.Accepts + "\n"
}

// Each setting stands in one group, and each group is on the page.
func TestListsOfSettings(t *testing.T) {
	left := map[string]config.Variable{}
	for _, v := range config.Variables(pid1.Parsers()) {
		left[v.Name] = v
	}
	var most, others strings.Builder
	for _, group := range settingGroups {
		part := &others
		if group.title == "" {
			part = &most
		} else {
			part.WriteString("\n### " + group.title + "\n\n")
		}
		for n, name := range strings.Fields(group.names) {
			v, found := left[config.Prefix+name]
			if !found {
				t.Errorf("settingGroups: %s is no setting, or is there twice", name)
				continue
			}
			delete(left, v.Name)
			if n > 0 {
				part.WriteString("\n")
			}
			part.WriteString(definition(t, v))
		}
	}
	for name := range left {
		t.Errorf("%s is in no group: add it to settingGroups in docs/tables_test.go, and run: go test ./docs -update", name)
	}
	compare(t, environmentPage, "settings", most.String())
	compare(t, environmentPage, "other settings", strings.TrimPrefix(others.String(), "\n"))
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
	compare(t, controlPage, "events", table(rows))
}

func TestTableOfStages(t *testing.T) {
	rows := [][]string{{"stage", "when"}}
	for _, s := range swap.SwapStages {
		rows = append(rows, []string{"`" + s.Stage + "`", s.Means})
	}
	compare(t, controlPage, "stages", table(rows))
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
	compare(t, "check.md", "the servers", table(rows))
}
