package kernels

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// report is what a console has said.
type report struct {
	results map[string]string // PASS, FAIL or SKIP of each test
	order   []string          // of its keys
	end     string            // the exit status of the init, in hexadecimal, as wait(2) has it
}

var (
	resultLine = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\w+)`)
	// The kernel's last words.
	endLine = regexp.MustCompile(`Kernel panic - not syncing: Attempted to kill init! exitcode=0x([0-9a-f]{8})`)
)

// ended is the status with which the guest ends when all is well, 42, for the kernel.
const ended = "00002a00"

func parse(console string) report {
	r := report{results: map[string]string{}}
	for _, m := range resultLine.FindAllStringSubmatch(console, -1) {
		if before := r.results[m[2]]; before != "" && before != "PASS" {
			continue // twice, and once is enough
		}
		r.results[m[2]] = m[1]
		r.order = append(r.order, m[2])
	}
	if m := endLine.FindStringSubmatch(console); m != nil {
		r.end = m[1]
	}
	return r
}

// problems is what is wrong with the report, for a machine that was to run these tests:
// silence, too.
func (r report) problems(expected []string) (all []string) {
	for _, name := range expected {
		switch result := r.results[name]; result {
		case "PASS":
		case "":
			all = append(all, name+": not heard of")
		default:
			all = append(all, name+": "+result)
		}
	}
	for _, name := range r.order {
		if !slices.Contains(expected, name) {
			all = append(all, name+": nobody has asked for it")
		}
	}
	switch r.end {
	case ended: // FaithfulExit: it is the guest's
	case "":
		all = append(all, "the machine did not end with its init")
	default:
		all = append(all, fmt.Sprintf("the init ended with 0x%s, not with 0x%s", r.end, ended))
	}
	return all
}

func TestProblems(t *testing.T) {
	const end = "[    9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00002a00\r\n"
	for _, tc := range []struct{ name, console, want string }{
		{"all is well", "--- PASS: A (0.10s)\r\n--- PASS: B\r\n    --- PASS: B/one (0.00s)\r\n" + end, ""},
		{"one failed", "--- PASS: A\r\n--- FAIL: B\r\n" + end, "B: FAIL"},
		{"one was skipped", "--- PASS: A\r\n--- SKIP: B\r\n" + end, "B: SKIP"},
		{"one failed, and then passed", "--- PASS: A\r\n--- FAIL: B\r\n--- PASS: B\r\n" + end, "B: FAIL"},
		{"one is not heard of", "--- PASS: A\r\n" + end, "B: not heard of"},
		{"one too many", "--- PASS: A\r\n--- PASS: B\r\n--- PASS: C\r\n" + end, "C: nobody has asked for it"},
		{"another status", "--- PASS: A\r\n--- PASS: B\r\n" + strings.Replace(end, "2a", "2b", 1), "the init ended with 0x00002b00, not with 0x00002a00"},
		{"no end", "--- PASS: A\r\n--- PASS: B\r\n", "the machine did not end with its init"},
		{"nothing", "", "A: not heard of, B: not heard of, the machine did not end with its init"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(parse(tc.console).problems([]string{"A", "B"}), ", "); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose("all"); err != nil || len(all) != len(kernels) {
		t.Errorf("all: %v, %v", all, err)
	}
	if two, err := choose("6.12-amd64 5.10-amd64"); err != nil || len(two) != 2 || two[0].name != "6.12-amd64" {
		t.Errorf("two: %v, %v", two, err)
	}
	if _, err := choose("5.10-amd64 2.4-amd64"); err == nil || !strings.Contains(err.Error(), "6.1-arm64") {
		t.Errorf("one that there is not: %v", err)
	}
}
