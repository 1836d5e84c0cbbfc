package lint

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFormats: what go vet does for fmt. The formats of text.Sprintf and text.Errorf are
// constants, and have as many verbs as there are arguments, of types that they can print.
func TestFormats(t *testing.T) {
	out := command(t, root, []string{"CGO_ENABLED=0", "GOOS=linux"}, "go", "list", "-deps", "-export", "-f",
		"{{.ImportPath}}\t{{.Export}}\t{{if not .Standard}}{{.Dir}}\t{{join .GoFiles \" \"}}{{end}}", "./cmd/swapinit")
	compiled, sources := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		compiled[f[0]] = f[1]
		if strings.HasPrefix(f[0], module+"/") {
			for _, name := range strings.Fields(f[3]) {
				sources[f[0]] = append(sources[f[0]], filepath.Join(f[2], name))
			}
		}
	}
	set := token.NewFileSet()
	conf := types.Config{Importer: importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) })}
	calls := 0
	for path, names := range sources {
		var files []*ast.File
		for _, name := range names {
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
		if _, err := conf.Check(path, set, files, &info); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if s, ok := call.Fun.(*ast.SelectorExpr); ok && formats(info.Uses[s.Sel]) {
					calls++
					if err := checkCall(call, &info, s.Sel.Name == "Errorf"); err != nil {
						t.Errorf("%s: %v", set.Position(call.Pos()), err)
					}
				}
				return true
			})
		}
	}
	if calls < 50 {
		t.Errorf("only %d calls are found", calls)
	}
}

func formats(f types.Object) bool {
	return f != nil && f.Pkg() != nil && f.Pkg().Path() == module+"/internal/text" && (f.Name() == "Sprintf" || f.Name() == "Errorf")
}

func checkCall(call *ast.CallExpr, info *types.Info, wraps bool) error {
	format := info.Types[call.Args[0]].Value
	if format == nil || call.Ellipsis.IsValid() {
		return errors.New("its format or its arguments are not known here")
	}
	var args []types.Type
	for _, arg := range call.Args[1:] {
		args = append(args, info.Types[arg].Type)
	}
	return checkFormat(constant.StringVal(format), args, wraps)
}

var (
	failure  = types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	plain    = []types.Type{types.Typ[types.String], types.NewSlice(types.Typ[types.Byte])}
	integers = []types.Type{types.Typ[types.Int], types.Typ[types.Int64], types.Typ[types.Uint64], types.Typ[types.Uint32]}
)

// checkFormat holds one call to what internal/text can: it knows no other types, and a type
// that is made from one of them is another one.
func checkFormat(format string, args []types.Type, wraps bool) error {
	among := func(list []types.Type, t types.Type) bool {
		return slices.ContainsFunc(list, func(u types.Type) bool { return types.Identical(t, u) })
	}
	for {
		_, rest, found := strings.Cut(format, "%")
		if !found {
			break
		}
		if rest == "" {
			return errors.New("a % at the end")
		}
		verb := rest[0]
		if format = rest[1:]; verb == '%' {
			continue
		}
		if len(args) == 0 {
			return errors.New("more verbs than arguments")
		}
		arg := args[0]
		args = args[1:]
		method, _, _ := types.LookupFieldOrMethod(arg, false, nil, "String")
		said := types.Implements(arg, failure) || method != nil || among(plain, arg)
		ok := false
		switch verb {
		case 's', 'q':
			ok = said
		case 'v':
			ok = said || among(integers, arg) || types.Identical(arg, types.Typ[types.Bool])
		case 'd':
			ok = among(integers, arg)
		case 'w':
			ok = wraps && types.Implements(arg, failure)
		}
		if !ok {
			return fmt.Errorf("%%%c cannot be used for a %v", verb, arg)
		}
	}
	if len(args) > 0 {
		return errors.New("more arguments than verbs")
	}
	return nil
}

func TestCheckFormat(t *testing.T) {
	str, num, fault := types.Typ[types.String], types.Typ[types.Int], types.Universe.Lookup("error").Type()
	named := types.NewNamed(types.NewTypeName(0, nil, "stage", nil), str, nil)
	for _, c := range []struct {
		format string
		args   []types.Type
		ok     bool
	}{
		{"a%%", nil, true}, {"%s %q %v: %w", []types.Type{str, str, num, fault}, true}, {"%d", []types.Type{num}, true},
		{"%", nil, false}, {"%s", nil, false}, {"a", []types.Type{str}, false}, {"%x", []types.Type{num}, false},
		{"%.2s", []types.Type{str}, false}, {"%d", []types.Type{str}, false}, {"%q", []types.Type{num}, false},
		{"%w", []types.Type{str}, false}, {"%s", []types.Type{named}, false}, {"%v", []types.Type{types.Typ[types.Float64]}, false},
	} {
		if err := checkFormat(c.format, c.args, true); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.format, err)
		}
	}
	if checkFormat("%w", []types.Type{fault}, false) == nil {
		t.Error("Sprintf wraps")
	}
}
