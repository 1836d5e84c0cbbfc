// Package lint holds the source and the released binary to the rules of this
// repository that neither gofmt nor go vet knows.
package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	root   = "../.."
	module = "github.com/swapinit/swapinit"
)

// file is one Go source file and where it stands.
type file struct {
	path string // from the root of the repository
	dir  string // its folder
	test bool   // a _test.go file, or anything below test/ or packaging/: what is no part of the program
	ast  *ast.File
	set  *token.FileSet
}

// rule forbids something, and says why.
type rule struct {
	name, why string
	find      func(f *file) []ast.Node
}

var rules = []rule{
	{
		"os/exec outside tests",
		"its Wait races the reaper's wait4(-1) and then fails with ECHILD; start processes with internal/spawn",
		func(f *file) []ast.Node {
			if f.test {
				return nil
			}
			return f.imports("os/exec")
		},
	},
	{
		"signal.Ignore outside internal/spawn",
		"every child would inherit the ignored signal; only the exec stage, about to become the child, may",
		func(f *file) []ast.Node {
			if f.test || f.dir == "internal/spawn" {
				return nil
			}
			return f.uses("os/signal", "Ignore")
		},
	},
	{
		"time.Sleep",
		"the loop must never block, and a test that sleeps is slow or flaky: wait for the event, or poll with a generous deadline",
		func(f *file) []ast.Node { return f.uses("time", "Sleep") },
	},
	{
		"os.Exit outside main",
		"once a child runs, the only exit is the state machine's; everything else is logged and carried on",
		func(f *file) []ast.Node {
			if f.test || f.ast.Name.Name == "main" {
				return nil
			}
			return append(f.uses("os", "Exit"), f.uses("log", "Fatal", "Fatalf", "Fatalln")...)
		},
	},
	{
		"func init",
		"whatever runs before main delays the moment from which on no signal is lost",
		func(f *file) (found []ast.Node) {
			if f.test {
				return nil
			}
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					found = append(found, fn)
				}
			}
			return found
		},
	},
	{
		"unix.Accept and its like",
		"they know the addresses of twenty families, with a type for each: 24 KB of the binary; those of package syscall know the few that are used",
		func(f *file) []ast.Node {
			if f.test {
				return nil
			}
			return f.uses("golang.org/x/sys/unix", "Accept", "Accept4", "Getpeername", "Getsockname", "Recvfrom", "Recvmsg", "RecvmsgBuffers")
		},
	},
	{
		"net/netip",
		"its table of the zones of addresses is 70 KB of the binary; internal/netip is the same without",
		func(f *file) []ast.Node {
			if f.test {
				return nil
			}
			return f.imports("net/netip")
		},
	},
	{
		"errors.As",
		"it needs reflection, 20 KB of the binary; errors.AsType does the same without",
		func(f *file) []ast.Node {
			if f.test {
				return nil
			}
			return f.uses("errors", "As")
		},
	},
	{
		"fmt, reflect",
		"they are 74 KB and 78 KB of the binary; internal/text has the formats that are used, and a type can name its fields (internal/wire, internal/config)",
		func(f *file) []ast.Node {
			if f.test {
				return nil
			}
			return f.imports("fmt", "reflect")
		},
	},
	{
		"io.Copy",
		"it knows splice, sendfile and more: 41 KB of the binary; a loop of Read and Write, or sendfile(2), does",
		func(f *file) []ast.Node {
			if f.test {
				return nil
			}
			return f.uses("io", "Copy", "CopyN", "CopyBuffer")
		},
	},
	{
		"import against the layout",
		"arrows run downwards only: cmd -> init -> the rest, whose packages know nothing of each other but the leaves; package pid1 translates at the border",
		func(f *file) (found []ast.Node) {
			if f.test {
				return nil
			}
			for _, spec := range f.ast.Imports {
				to, ok := strings.CutPrefix(importPath(spec), module+"/")
				if ok && !mayImport(f.dir, to) {
					found = append(found, spec)
				}
			}
			return found
		},
	},
	{
		"long comment",
		"a line of a comment has at most 100 characters: nobody reads a longer one to its end",
		func(f *file) []ast.Node {
			return f.comments(func(line string) bool { return utf8.RuneCountInString(line) > maxComment })
		},
	},
	{
		"word",
		"a reader who knows the field must not have to learn another word for what it has a word for",
		func(f *file) []ast.Node { return f.comments(words.MatchString) },
	},
}

// leaves have no state and import no package of ours but text, and few one more. What several
// packages need is there once.
var leaves = []string{
	"internal/atomicfile", "internal/awake", "internal/busy", "internal/cgroup", "internal/clock", "internal/file", "internal/folder", "internal/json", "internal/insertion", "internal/lines", "internal/netip", "internal/procnet", "internal/shares", "internal/text", "internal/unixname", "internal/wire",
}

// mayImport is the layout: who may import whom within the module.
func mayImport(from, to string) bool {
	switch {
	case to == "internal/text": // it knows none
		return from != to
	case from == "internal/wire": // of the leaves that are about text
		return to == "internal/json" || to == "internal/shares"
	case from == "internal/busy": // what it has is told in lines
		return to == "internal/wire"
	case from == "internal/awake":
		return to == "internal/clock"
	case from == "internal/cgroup":
		return to == "internal/file"
	case from == "internal/procnet":
		return to == "internal/netip" || to == "internal/clock"
	case from == "internal/shares":
		return to == "internal/netip"
	case slices.Contains(leaves, from):
		return false
	case to == from || strings.HasPrefix(to, "cmd/") || strings.HasPrefix(to, "test/"):
		return false
	case strings.HasPrefix(from, "cmd/"):
		return true
	case from == "init":
		return true
	case from == "internal/adopt" && to == "internal/steer":
		return true
	case from == "internal/gate": // a loop of its own, as init is
		return to != "init" && to != "swap"
	case from == "internal/member" && (to == "internal/gatewire" || to == "internal/steer"):
		return true
	}
	return slices.Contains(leaves, to)
}

const maxComment = 100

// words are not the field's; what they stood for has a standard term.
var words = regexp.MustCompile(`(?i)\b(giving|owes|anew|unfit|witness(es)?|astray|bookkeeping|carriers?|guests?|lonely|bells?|census|books|brace|aside)\b`)

// comments finds those for which bad holds, line by line.
func (f *file) comments(bad func(line string) bool) (found []ast.Node) {
	if f.test {
		return nil
	}
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			if slices.ContainsFunc(strings.Split(c.Text, "\n"), bad) {
				found = append(found, c)
			}
		}
	}
	return found
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}

func (f *file) imports(paths ...string) (found []ast.Node) {
	for _, spec := range f.ast.Imports {
		for _, p := range paths {
			if importPath(spec) == p {
				found = append(found, spec)
			}
		}
	}
	return found
}

// uses finds each mention of a name of a package, whatever the import calls it.
func (f *file) uses(pkg string, names ...string) (found []ast.Node) {
	for _, spec := range f.ast.Imports {
		if importPath(spec) != pkg {
			continue
		}
		local := path.Base(pkg)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if !ok || x.Name != local {
				return true
			}
			for _, name := range names {
				if s.Sel.Name == name {
					found = append(found, s)
				}
			}
			return true
		})
	}
	return found
}

func parse(name string, source any) (*file, error) {
	set := token.NewFileSet()
	open := name
	if source == nil {
		open = filepath.Join(root, name)
	}
	tree, err := parser.ParseFile(set, open, source, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &file{
		path: name,
		dir:  path.Dir(name),
		test: strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "packaging/"),
		ast:  tree,
		set:  set,
	}, nil
}

func TestSource(t *testing.T) {
	files := 0
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || name == "bin" || name == "tmp") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parse(name, nil)
		if err != nil {
			return err
		}
		files++
		for _, r := range rules {
			for _, n := range r.find(f) {
				t.Errorf("%s:%d: %s: %s", name, f.set.Position(n.Pos()).Line, r.name, r.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no source file found")
	}
}

// Each rule finds what it forbids, and lets pass what it allows.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		path, source string
		want         string // the rule that finds something, or none
	}{
		{"swap/a.go", "package swap\nimport _ \"os/exec\"", "os/exec outside tests"},
		{"swap/a_test.go", "package swap\nimport _ \"os/exec\"", ""},
		{"test/demo/a.go", "package main\nimport _ \"os/exec\"", ""},
		{"init/a.go", "package pid1\nimport \"os/signal\"\nfunc f() { signal.Ignore() }", "signal.Ignore outside internal/spawn"},
		{"init/a.go", "package pid1\nimport s \"os/signal\"\nvar f = s.Ignore", "signal.Ignore outside internal/spawn"},
		{"init/a.go", "package pid1\nimport \"os/signal\"\nvar f = signal.Ignored", ""},
		{"internal/spawn/a.go", "package spawn\nimport \"os/signal\"\nvar f = signal.Ignore", ""},
		{"test/e2e/a_test.go", "package e2e\nimport \"time\"\nfunc f() { time.Sleep(1) }", "time.Sleep"},
		{"init/a.go", "package pid1\nimport \"os\"\nfunc f() { os.Exit(1) }", "os.Exit outside main"},
		{"init/a.go", "package pid1\nimport \"log\"\nfunc f() { log.Fatal() }", "os.Exit outside main"},
		{"cmd/swapinit/a.go", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"swap/a.go", "package swap\nfunc init() {}", "func init"},
		{"swap/a.go", "package swap\ntype t int\nfunc (t) init() {}", ""},
		{"init/a.go", "package pid1\nimport \"golang.org/x/sys/unix\"\nvar f = unix.Getsockname", "unix.Accept and its like"},
		{"init/a_test.go", "package pid1\nimport \"golang.org/x/sys/unix\"\nvar f = unix.Accept4", ""},
		{"init/a.go", "package pid1\nimport \"errors\"\nvar f = errors.As", "errors.As"},
		{"init/a.go", "package pid1\nimport \"errors\"\nvar f = errors.Is", ""},
		{"init/a.go", "package pid1\nimport \"fmt\"\nvar f = fmt.Errorf", "fmt, reflect"},
		{"init/a.go", "package pid1\nimport \"reflect\"\nvar f = reflect.ValueOf", "fmt, reflect"},
		{"test/demo/a.go", "package main\nimport _ \"fmt\"", ""},
		{"init/a.go", "package pid1\nimport \"io\"\nvar f = io.Copy", "io.Copy"},
		{"init/a.go", "package pid1\nimport \"io\"\nvar f = io.ReadFull", ""},
		{"swap/a.go", "package swap\nimport _ \"" + module + "/signals\"", "import against the layout"},
		{"internal/ready/a.go", "package ready\nimport _ \"" + module + "/internal/listen\"", "import against the layout"},
		{"internal/ready/a.go", "package ready\nimport _ \"" + module + "/init\"", "import against the layout"},
		{"internal/ready/a.go", "package ready\nimport _ \"" + module + "/internal/procnet\"", ""},
		{"internal/procnet/a.go", "package procnet\nimport _ \"" + module + "/internal/listen\"", "import against the layout"},
		{"init/a.go", "package pid1\nimport _ \"" + module + "/cmd/swapinit\"", "import against the layout"},
		{"init/a.go", "package pid1\nimport _ \"" + module + "/internal/listen\"", ""},
		{"internal/control/a.go", "package control\nimport _ \"" + module + "/internal/json\"", ""},
		{"internal/json/a.go", "package json\nimport _ \"" + module + "/internal/text\"", ""},
		{"internal/text/a.go", "package text\nimport _ \"" + module + "/internal/json\"", "import against the layout"},
		{"internal/wire/a.go", "package wire\nimport _ \"" + module + "/internal/json\"", ""},
		{"internal/wire/a.go", "package wire\nimport _ \"" + module + "/internal/procnet\"", "import against the layout"},
		{"internal/gatewire/a.go", "package gatewire\nimport _ \"" + module + "/internal/wire\"", ""},
		{"internal/gatewire/a.go", "package gatewire\nimport _ \"" + module + "/internal/steer\"", "import against the layout"},
		{"internal/member/a.go", "package member\nimport _ \"" + module + "/internal/gatewire\"", ""},
		{"swap/a.go", "package swap\nimport _ \"" + module + "/internal/shares\"", ""},
		{"signals/a.go", "package signals\n// " + strings.Repeat("é", 97), ""},
		{"signals/a.go", "package signals\nvar a = 1 // " + strings.Repeat("é", 98), "long comment"},
		{"signals/a.go", "package signals\n// Begun\n// anew.\nvar a = `" + strings.Repeat("x", 101) + "`", "word"},
		{"signals/a_test.go", "package signals\n// anew", ""},
		{"internal/adopt/a.go", "package adopt\nimport _ \"" + module + "/internal/steer\"", ""},
		{"cmd/swapinit/a.go", "package main\nimport _ \"" + module + "/test/load\"", "import against the layout"},
	} {
		f, err := parse(c.path, c.source)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			if found := len(r.find(f)) > 0; found != (r.name == c.want) {
				t.Errorf("%s %q: rule %q found something: %v", c.path, c.source, r.name, found)
			}
		}
	}
}
