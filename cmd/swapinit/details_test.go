//go:build linux

package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manual is what details says of a verb, taken apart.
type manual struct {
	verb, usage, help string
	text              string // what it does
	options           []term
	status            []term
	examples          []string
}

// term is one line of two columns.
type term struct{ name, means string }

// manuals are those of all verbs that are there.
func manuals(t *testing.T) (all []manual) {
	t.Helper()
	for _, name := range verbNames() {
		m := manual{verb: name}
		m.usage, m.help = verbUsage("swapinit", name)
		var sections map[string]string
		m.text, sections = cutSections(t, detailsOf("swapinit", name))
		m.options, m.status = terms(t, sections["options"]), terms(t, sections["exit status"])
		for line := range strings.Lines(sections["examples"]) {
			m.examples = append(m.examples, strings.TrimSpace(line))
		}
		all = append(all, m)
	}
	return all
}

var sectionHead = regexp.MustCompile(`(?m)\n\n([a-z ]+):\n`)

// cutSections cuts what follows a head from what stands before the first one.
func cutSections(t *testing.T, block string) (text string, sections map[string]string) {
	t.Helper()
	sections = map[string]string{}
	at := sectionHead.FindAllStringSubmatchIndex(block, -1)
	if len(at) == 0 {
		t.Fatalf("no sections in %q", block)
	}
	for i, m := range at {
		end := len(block)
		if i+1 < len(at) {
			end = at[i+1][0] + 1
		}
		sections[block[m[2]:m[3]]] = block[m[1]:end]
	}
	return block[:at[0][0]], sections
}

var twoColumns = regexp.MustCompile(`^  (\S+(?: \S+)*)  +(\S.*)$`)

func terms(t *testing.T, section string) (list []term) {
	t.Helper()
	for line := range strings.Lines(section) {
		m := twoColumns.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("no two columns in %q", line)
		}
		list = append(list, term{m[1], m[2]})
	}
	return list
}

var usageOptions = regexp.MustCompile(`\[(-- ?[^]]+)\]`)

// What the help of a verb explains is what its usage has, and no line is too wide.
func TestDetails(t *testing.T) {
	known := 0
	for _, m := range manuals(t) {
		known++
		var named, explained, statuses []string
		for _, o := range usageOptions.FindAllStringSubmatch(m.usage, -1) {
			named = append(named, o[1])
		}
		for _, o := range m.options {
			explained = append(explained, o.name)
		}
		slices.Sort(named)
		slices.Sort(explained)
		if !slices.Equal(named, explained) {
			t.Errorf("%s: usage has %q, details %q", m.verb, named, explained)
		}
		for _, s := range m.status {
			statuses = append(statuses, s.name)
		}
		// Whoever talks to an init can find none, and whoever takes no settings as init does
		// can be used wrongly.
		if want := m.verb != "version" && m.verb != "help"; slices.Contains(statuses, "125") != want {
			t.Errorf("%s: status 125 is there: %v", m.verb, !want)
		}
		if want := m.verb != "gate"; statuses[0] != "0" || slices.Contains(statuses, "2") != want {
			t.Errorf("%s: statuses %q", m.verb, statuses)
		}
		if m.text == "" || len(m.examples) == 0 {
			t.Errorf("%s: text %q, examples %q", m.verb, m.text, m.examples)
		}
		for _, e := range m.examples {
			checkExample(t, m.verb, e)
		}
		block := detailsOf("/sbin/docker-init", m.verb)
		if strings.Contains(block, "swapinit ") || strings.Contains(block, "\n\n\n") {
			t.Errorf("%s: %q", m.verb, block)
		}
		for line := range strings.Lines(detailsOf("swapinit", m.verb)) {
			if len(line) > 90 || strings.HasSuffix(line, " \n") {
				t.Errorf("%s: line of %d bytes: %q", m.verb, len(line), line)
			}
		}
	}
	if blocks := strings.Count(details, "\n# "); blocks != known {
		t.Errorf("%d blocks for %d verbs", blocks, known)
	}
}

// checkExample: the verb accepts what its example says.
func checkExample(t *testing.T, verb, example string) {
	t.Helper()
	_, args, ok := strings.Cut(" "+example, " swapinit "+verb)
	if !ok {
		t.Errorf("%s: %q is no example of it", verb, example)
		return
	}
	if verb == verbGate || verb == verbHelp {
		return
	}
	if _, err := parseVerb(verb, strings.Fields(strings.ReplaceAll(args, "'", ""))); err != nil {
		t.Errorf("%s: %q is not accepted: %v", verb, example, err)
	}
}
