package arbiter

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/shares"
)

// The scenarios of testdata/*.txt: what happens, a line an event, and indented under it
// what the arbiter wants to be done about it. testdata/README.md describes the format.

var update = flag.Bool("update", false, "write the effects into the scenarios instead of comparing them")

// invariants are the scenarios that have a test which bears their invariant's name.
var invariants = []string{"always-accepting", "ready-before-retire", "failure-is-free", "one-swap-at-a-time", "newest-wins", "no-queue-forgotten", "state-first"}

func TestAlwaysAccepting(t *testing.T)   { playAll(t, "always-accepting") }
func TestReadyBeforeRetire(t *testing.T) { playAll(t, "ready-before-retire") }
func TestFailureIsFree(t *testing.T)     { playAll(t, "failure-is-free") }
func TestOneSwapAtATime(t *testing.T)    { playAll(t, "one-swap-at-a-time") }
func TestNewestWins(t *testing.T)        { playAll(t, "newest-wins") }
func TestNoQueueForgotten(t *testing.T)  { playAll(t, "no-queue-forgotten") }
func TestStateFirst(t *testing.T)        { playAll(t, "state-first") }
func TestScenarios(t *testing.T)         { playAll(t, "") }

// playAll plays the scenarios of an invariant, or with "" all others.
func playAll(t *testing.T, invariant string) {
	files, err := filepath.Glob("testdata/" + invariant + "*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(filepath.Base(file), ".txt")
		if invariant == "" && slices.Contains(invariants, base) {
			continue
		}
		t.Run(base, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
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

// playFile plays the scenarios of a file, each with an arbiter of its own, and returns
// the text with the effects as they are.
func playFile(t *testing.T, file, text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if !strings.HasPrefix(text, "# ") {
		t.Errorf("%s does not say what it shows: no comment at its head", file)
	}
	var out []string
	for i := 0; i < len(lines); {
		n := 1
		for i+n < len(lines) && !strings.HasPrefix(lines[i+n], "--- ") {
			n++
		}
		if title, ok := strings.CutPrefix(lines[i], "--- "); ok {
			t.Run(title, func(t *testing.T) { out = append(out, play(t, lines[i:i+n])...) })
		} else {
			out = append(out, lines[i:i+n]...)
		}
		i += n
	}
	return strings.Join(out, "\n") + "\n"
}

// player plays one scenario.
type player struct {
	rig      *rig
	out      []string
	last     Session
	sessions map[string]Session
	lives    map[string]int
	silent   map[string]bool
	disk     string // "", full or slow
}

// play plays the lines of one scenario and returns them with the effects as they are.
func play(t *testing.T, lines []string) (out []string) {
	p := &player{rig: newRig(), silent: map[string]bool{}, sessions: map[string]Session{}, lives: map[string]int{}}
	for i := 0; i < len(lines); {
		line := lines[i]
		n := 1
		for i+n < len(lines) && strings.HasPrefix(lines[i+n], "  ") {
			n++
		}
		want := lines[i+1 : i+n]
		i += n
		p.out = nil
		if line != "" && line[0] != '#' && line[0] != '-' {
			if err := p.line(line); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, strings.Join(p.out, "\n"))
			}
		}
		if !*update && !slices.Equal(p.out, want) {
			t.Errorf("%s\n%s\nwant\n%s\n(-update rewrites it)", line, strings.Join(p.out, "\n"), strings.Join(want, "\n"))
		}
		out = append(append(out, line), p.out...)
	}
	return out
}

func (p *player) line(line string) error {
	words := strings.Fields(line)
	switch words[0] {
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err
		}
		return p.wait(p.rig.now + d)
	case "disk":
		if words[1] == "ok" {
			words[1] = ""
		}
		p.disk = words[1]
		return nil
	case "silent":
		p.silent[words[1]] = true
		return nil
	case "crash":
		p.rig.restart(crash{written: slices.Contains(words, "written"), lost: slices.Contains(words, "lost")})
		return nil
	case "views":
		for _, v := range p.rig.a.Views() {
			p.out = append(p.out, fmt.Sprintf("  %s order=%d role=%s state=%s share=%d", v.Container, v.Order, v.Role, v.State, v.Share))
		}
		return nil
	}
	e, err := p.parse(words)
	if err != nil {
		return err
	}
	return p.tell(e)
}

func (p *player) tell(e Event) error {
	effects, err := p.rig.step(e)
	names := map[Session]string{}
	for n, s := range p.sessions {
		names[s] = n
	}
	var next []Event
	for _, f := range effects {
		switch f := f.(type) {
		case *Save:
			if p.disk == "" {
				next = append(next, &Saved{Number: f.Number})
			} else if p.disk == "full" {
				next = append(next, &Saved{Number: f.Number, Err: "no space left on device"})
			}
		case *Ping:
			if !p.silent[names[f.Session]] {
				next = append(next, &Alive{f.Session})
			}
			continue
		case *Note:
			continue
		}
		p.out = append(p.out, "  "+describe(f, names))
	}
	for _, e := range next {
		if err == nil {
			err = p.tell(e)
		}
	}
	return err
}

// wait lets time pass, with a tick at each deadline.
func (p *player) wait(until time.Duration) error {
	for {
		at, armed := p.rig.deadline()
		if !armed || at > until {
			p.rig.now = until
			return p.tell(&Tick{})
		}
		p.rig.now = max(p.rig.now, at)
		before := len(p.out)
		if err := p.tell(&Tick{}); err != nil {
			return err
		}
		if len(p.out) > before {
			p.out = slices.Insert(p.out, before, fmt.Sprintf("  at %v", p.rig.now))
		}
	}
}

var events = []Event{&Tick{}, &Join{}, &Ended{}, &Leaving{}, &Turn{}, &Ask{}, &Done{}, &Took{}, &Moved{}, &Settled{}, &NoServer{}, &Alive{}, &Saved{}, &Unmoved{}, &Rollback{}, &Promote{}}

// parse reads an event: its name, its member's, and fields as name=value.
func (p *player) parse(words []string) (Event, error) {
	i := slices.IndexFunc(events, func(e Event) bool { return kindOf(e) == words[0] })
	if i < 0 {
		return nil, fmt.Errorf("no such event")
	}
	v := reflect.New(reflect.TypeOf(events[i]).Elem())
	e := v.Interface().(Event)
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		if value == "" && p.known(name, e) {
			continue
		}
		for k := range v.Elem().NumField() {
			f := v.Elem().Field(k)
			if kebab(v.Elem().Type().Field(k).Name) != name {
				continue
			}
			switch f.Kind() {
			case reflect.Bool:
				f.SetBool(true)
			case reflect.String:
				f.SetString(value)
			case reflect.Int, reflect.Int64:
				n, err := strconv.Atoi(strings.TrimSuffix(value, "%"))
				if err != nil {
					return nil, err
				}
				if strings.HasSuffix(value, "%") {
					n *= shares.Full / 100
				}
				f.SetInt(int64(n))
			case reflect.Uint64:
				n, err := strconv.Atoi(value)
				if err != nil {
					return nil, err
				}
				f.SetUint(uint64(n))
			}
		}
	}
	p.finish(v.Elem(), words)
	return e, nil
}

// known: the word is a member's name.
func (p *player) known(word string, e Event) bool {
	if j, ok := e.(*Join); ok && j.Member == "" && len(word) == 1 {
		j.Member = word
		return true
	}
	return p.sessions[word] != 0
}

// finish sets the session.
func (p *player) finish(v reflect.Value, words []string) {
	if j, ok := v.Addr().Interface().(*Join); ok {
		p.last++
		p.sessions[j.Member], j.Session = p.last, p.last
		if j.State == "" {
			p.lives[j.Member]++
		}
		j.Life = j.Member + strconv.Itoa(p.lives[j.Member])
		return
	}
	if u, ok := v.Addr().Interface().(*Unmoved); ok {
		u.Aim = p.rig.c.aim
	}
	if f := v.FieldByName("Session"); f.IsValid() && len(words) > 1 {
		f.SetInt(int64(p.sessions[words[1]]))
	}
}
