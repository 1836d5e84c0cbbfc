package swap

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The scenarios of testdata/*.txt: what happens, a line an event as Event.String
// writes it, and indented under it what the machine says to it. testdata/README.md
// describes the format.

var (
	update  = flag.Bool("update", false, "write the effects into the scenarios instead of comparing them")
	fromLog = flag.String("from-log", "", "TestScenarioFromLog: turn the events of this swapinit log, of level debug, into a scenario")
	to      = flag.String("to", "", "TestScenarioFromLog: the file that the scenario of -from-log is written to")
)

// invariants are the scenarios that have a test which bears their invariant's name:
// those whose names begin so.
var invariants = []string{"ready-before-retire", "failure-is-free", "one-swap-at-a-time", "faithful-exit", "known-good"}

func TestReadyBeforeRetire(t *testing.T) { playAll(t, "ready-before-retire") }
func TestFailureIsFree(t *testing.T)     { playAll(t, "failure-is-free") }
func TestOneSwapAtATime(t *testing.T)    { playAll(t, "one-swap-at-a-time") }
func TestFaithfulExit(t *testing.T)      { playAll(t, "faithful-exit") }
func TestKnownGood(t *testing.T)         { playAll(t, "known-good") }

func TestScenarios(t *testing.T) { playAll(t, "") }

// playAll plays the scenarios of an invariant, or with "" all others.
func playAll(t *testing.T, invariant string) {
	files, err := filepath.Glob("testdata/" + invariant + "*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(filepath.Base(file), ".txt")
		if invariant == "" && slices.ContainsFunc(invariants, func(i string) bool { return strings.HasPrefix(base, i) }) {
			continue
		}
		t.Run(base, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), "# ") {
				t.Errorf("%s does not say what it shows: no comment at its head", file)
			}
			got := playFile(t, file, string(text))
			if *update && got != string(text) && !t.Failed() {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// step is a line of a scenario and the indented ones under it.
type step struct {
	number int
	line   string
	want   []string
}

// playFile plays the scenarios of a file, each with a machine of its own, and
// returns the text with the effects as they are.
func playFile(t *testing.T, file, text string) string {
	var out strings.Builder
	title, begun := "", 0
	var steps []step
	play := func() {
		p := player{file: file, cfg: baseConfig()}
		run := func(t *testing.T) { p.play(t, steps, &out) }
		if title == "" {
			run(t)
		} else {
			t.Run(title, run)
		}
	}
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "--- "):
			if begun > 0 {
				play()
			}
			title, steps = line[4:], []step{{number: i + 1, line: line}}
			begun++
		case strings.HasPrefix(line, "  "):
			if len(steps) > 0 {
				last := &steps[len(steps)-1]
				last.want = append(last.want, line)
			}
		default:
			if begun == 0 && line != "" && !strings.HasPrefix(line, "#") {
				begun++
			}
			steps = append(steps, step{number: i + 1, line: line})
			if begun == 0 {
				out.WriteString(line + "\n")
				steps = nil
			}
		}
	}
	play()
	return out.String()
}

// player plays one scenario.
type player struct {
	file string
	cfg  Config
	m    *Machine
	c    *checker
	now  time.Duration
	over bool
}

func (p *player) play(t *testing.T, steps []step, out *strings.Builder) {
	for _, s := range steps {
		got, err := p.line(s.line)
		if err != nil {
			t.Fatalf("%s:%d: %s: %v", p.file, s.number, s.line, err)
		}
		out.WriteString(s.line + "\n")
		for _, line := range got {
			out.WriteString(line + "\n")
		}
		if !*update && !slices.Equal(got, s.want) {
			t.Errorf("%s:%d: %s\n%s(-update rewrites it)", p.file, s.number, s.line, difference(s.want, got))
		}
	}
	if p.over {
		p.now += time.Hour
		if after, err := p.step(&ContainerEvent{Kind: Tick}); len(after) > 0 || err != nil {
			t.Errorf("%s: effects after the exit: %v, %v", p.file, after, err)
		}
	}
}

// line does what a line of a scenario says.
func (p *player) line(line string) ([]string, error) {
	word, rest, _ := strings.Cut(line, " ")
	if word == "" || word == "---" || strings.HasPrefix(word, "#") {
		return nil, nil
	}
	switch word {
	case "config":
		if p.m != nil {
			return nil, fmt.Errorf("the machine has its configuration already")
		}
		return nil, parseConfig(&p.cfg, rest)
	case "wait":
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("no duration to wait: %v", err)
		}
		p.now += d
		return p.step(&ContainerEvent{Kind: Tick})
	case "at":
		at, event, _ := strings.Cut(rest, " ")
		d, err := time.ParseDuration(at)
		if err != nil || d < p.now {
			return nil, fmt.Errorf("no time after %v: %v", p.now, err)
		}
		p.now = d
		line = event
	case "views", "deadline":
		if rest != "" || p.m == nil {
			return nil, fmt.Errorf("%s stands alone, and after an event", word)
		}
		if word == "deadline" {
			return []string{"  " + p.deadline()}, nil
		}
		return describeViews(p.m), nil
	}
	e, err := parseEvent(line)
	if err != nil {
		return nil, err
	}
	return p.step(e)
}

// step gives the machine an event. What comes out is checked as in the simulation.
func (p *player) step(e Event) ([]string, error) {
	if p.m == nil {
		p.m, p.c = New(p.cfg, nil), newChecker(p.cfg)
	}
	p.c.in(p.now, e)
	effects := p.m.Step(p.now, e)
	p.over = p.m.Phase() == Over
	return describeAll(effects), p.c.out(effects, p.m)
}

func (p *player) deadline() string {
	at, armed := p.m.Deadline()
	if !armed {
		return "none"
	}
	return "in " + (at - p.now).String()
}

// difference shows what was expected and what came, without what both begin and end
// with.
func difference(want, got []string) string {
	head, tail := 0, 0
	for head < min(len(want), len(got)) && want[head] == got[head] {
		head++
	}
	for tail < min(len(want), len(got))-head && want[len(want)-1-tail] == got[len(got)-1-tail] {
		tail++
	}
	var b strings.Builder
	for i, line := range want[:len(want)-tail] {
		mark := "  - "
		if i < head {
			mark = "    "
		}
		b.WriteString(mark + strings.TrimSpace(line) + "\n")
	}
	for _, line := range got[head : len(got)-tail] {
		b.WriteString("  + " + strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// logged is an event in the log of an init: the time since its start, the event.
var logged = regexp.MustCompile(`swapinit: ([0-9][0-9a-zµ.]*s) (\S.*)$`)

// scenarioFromLog makes a scenario of a log's events. What else is in the log is
// left out; the configuration has to be written by hand.
func scenarioFromLog(log string) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(log) {
		found := logged.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if found == nil {
			continue
		}
		if _, err := time.ParseDuration(found[1]); err != nil {
			continue
		}
		if _, err := parseEvent(found[2]); err != nil {
			return "", fmt.Errorf("cannot read event %q: %w", found[2], err)
		}
		fmt.Fprintf(&out, "at %s %s\n", found[1], found[2])
	}
	if out.Len() == 0 {
		return "", fmt.Errorf("no event in the log: is it of level debug?")
	}
	return out.String(), nil
}

// TestScenarioFromLog turns the log in testdata into the scenario from-log.txt, which
// the other tests play. With -from-log it is a tool:
//
//	go test ./swap -run TestScenarioFromLog -from-log /tmp/init.log -to testdata/new.txt
//	# write the header and the config line into swap/testdata/new.txt
//	go test ./swap -run TestScenarios -update
func TestScenarioFromLog(t *testing.T) {
	if *fromLog != "" {
		log, err := os.ReadFile(*fromLog)
		if err != nil {
			t.Fatal(err)
		}
		text, err := scenarioFromLog(string(log))
		if err == nil {
			err = os.WriteFile(*to, []byte("# What this shows.\n\nconfig\n"+text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	log, err := os.ReadFile("testdata/from-log.log")
	if err != nil {
		t.Fatal(err)
	}
	events, err := scenarioFromLog(string(log))
	if err != nil {
		t.Fatal(err)
	}
	scenario, err := os.ReadFile("testdata/from-log.txt")
	if err != nil {
		t.Fatal(err)
	}
	var have strings.Builder
	for line := range strings.Lines(string(scenario)) {
		if strings.HasPrefix(line, "at ") {
			have.WriteString(line)
		}
	}
	if events != have.String() {
		t.Errorf("the log says\n%s, the scenario\n%s", events, have.String())
	}
}

// The queue of requests is bounded: a scenario of it would be long.
func TestQueueIsBounded(t *testing.T) {
	m := New(baseConfig(), nil)
	ask := func(id int) []Effect {
		return m.Step(0, &ContainerEvent{Kind: Swap, Request: Request{ID: uint64(id)}})
	}
	for id := range 1 + maxWaiting {
		if out := describeAll(ask(id + 1)); strings.Contains(strings.Join(out, "\n"), "reply") {
			t.Fatalf("request %d: %v", id+1, out)
		}
	}
	want := []string{`  reply id=9999 reason="too many requests for a swap are waiting"`}
	if got := describeAll(ask(9999)); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
