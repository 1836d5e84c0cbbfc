// Command mutants puts known faults into a copy of the source, one at a time, and runs
// the tests that have to notice: one that survives shows what no test holds. It is for
// people (make mutants) and takes minutes; CI does not run it.
//
//	go run ./test/mutants [WORD...]    only those whose name, or file, contains one of the words
//
// The faults are in list.go. A fault whose place is not there any more, or that does
// not compile, is an error, like a survivor.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/swapinit/swapinit/test/build"
)

// mutant is one fault: in file, old, which stands there once, becomes new. tests are
// the arguments of go test whose tests have to notice.
type mutant struct{ name, file, old, new, tests string }

func main() {
	bad, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if bad {
		os.Exit(1)
	}
}

func run(words []string) (bad bool, err error) {
	list := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool {
		return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(m.name+" "+m.file, w) })
	})
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(dir); err != nil {
		return false, err
	}
	// Without a fault all of them must pass, else a failure says nothing.
	for _, tests := range testsOf(list) {
		if out, err := goTest(dir, tests); err != nil {
			return false, fmt.Errorf("go test %s fails without any fault: %w\n%s", tests, err, out)
		}
	}
	survivors, broken := 0, 0
	for _, m := range list {
		switch verdict, detail := m.try(dir); verdict {
		case noticed:
			fmt.Printf("noticed   %s: %s\n", m.name, detail)
		case survived:
			survivors++
			fmt.Printf("SURVIVED  %s (%s): go test %s\n", m.name, m.file, m.tests)
		case unusable:
			broken++
			fmt.Printf("UNUSABLE  %s (%s): %s\n", m.name, m.file, detail)
		}
	}
	fmt.Printf("%d mutants, %d survivors", len(list), survivors)
	if broken > 0 {
		fmt.Printf(", %d that do not fit the source any more", broken)
	}
	fmt.Println()
	return survivors+broken > 0, nil
}

type verdict int

const (
	noticed verdict = iota
	survived
	unusable
)

// try puts the fault into the copy, runs its tests, and takes it out again.
func (m mutant) try(dir string) (verdict, string) {
	name := filepath.Join(dir, m.file)
	source, err := os.ReadFile(name)
	if err != nil {
		return unusable, err.Error()
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return unusable, fmt.Sprintf("its place is there %d times: %q", n, m.old)
	}
	if err := os.WriteFile(name, bytes.Replace(source, []byte(m.old), []byte(m.new), 1), 0o644); err != nil {
		return unusable, err.Error()
	}
	defer func() { _ = os.WriteFile(name, source, 0o644) }()
	out, err := goTest(dir, m.tests)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return survived, ""
	case !errors.As(err, &exit), bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		return unusable, err.Error() + "\n" + string(out)
	}
	return noticed, firstFailure(string(out))
}

// firstFailure is the test that has noticed.
func firstFailure(out string) string {
	found := "a test"
	for line := range strings.Lines(out) {
		if _, test, ok := strings.Cut(line, "--- FAIL: "); ok {
			found, _, _ = strings.Cut(test, " (") // the last one is the innermost
		} else if strings.HasPrefix(line, "panic: ") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(found)
}

func goTest(dir, tests string) ([]byte, error) {
	// A fault may well be a hang. The cache of results does not know what tests build.
	cmd := exec.Command("go", append([]string{"test", "-count=1", "-failfast", "-timeout=3m"}, strings.Fields(tests)...)...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func testsOf(list []mutant) (all []string) {
	for _, m := range list {
		if !slices.Contains(all, m.tests) {
			all = append(all, m.tests)
		}
	}
	return all
}

// copyTree copies the source, without what git keeps and make has built.
func copyTree(dir string) error {
	root := build.Root()
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(root, e.Name()), filepath.Join(dir, e.Name())
		switch {
		case e.Name() == ".git", e.Name() == "bin":
		case e.IsDir():
			err = os.CopyFS(to, os.DirFS(from))
		case filepath.Ext(from) == ".mod", filepath.Ext(from) == ".sum", e.Name() == "Makefile":
			var data []byte
			if data, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, data, 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
