package lint

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSwapCallsDownwards: no file of swap calls back into one that calls it, directly or
// through others. What a generation has to say to the rollout goes through the tables.
func TestSwapCallsDownwards(t *testing.T) {
	set := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(root, "swap", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(set, "source", nil)}
	pkg, err := conf.Check("swap", set, files, &info)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]map[string]string{} // caller, callee: one of the funcs
	for id, object := range info.Uses {
		if f, ok := object.(*types.Func); ok && f.Pkg() == pkg {
			from, to := set.Position(id.Pos()).Filename, set.Position(f.Pos()).Filename
			if calls[from] == nil {
				calls[from] = map[string]string{}
			}
			if from != to {
				calls[from][to] = f.Name()
			}
		}
	}
	if len(calls) < 10 {
		t.Fatalf("only %d files call another: this test sees nothing", len(calls))
	}
	if way := circle(calls); way != nil {
		for k := range way[1:] {
			t.Errorf("%s calls %s of %s", filepath.Base(way[k]), calls[way[k]][way[k+1]], filepath.Base(way[k+1]))
		}
	}
}

// circle finds a way that leads back to where it began, nil if there is none.
func circle(calls map[string]map[string]string) []string {
	done := map[string]bool{}
	var walk func(way []string) []string
	walk = func(way []string) []string {
		at := way[len(way)-1]
		if k := slices.Index(way, at); k < len(way)-1 {
			return way[k:]
		}
		for to := range calls[at] {
			if !done[to] {
				if found := walk(append(slices.Clone(way), to)); found != nil {
					return found
				}
			}
		}
		done[at] = true
		return nil
	}
	for from := range calls {
		if found := walk([]string{from}); found != nil {
			return found
		}
	}
	return nil
}

func TestCircle(t *testing.T) {
	line := map[string]map[string]string{"a": {"b": "f", "c": "g"}, "b": {"c": "h"}}
	if way := circle(line); way != nil {
		t.Errorf("%v is no circle", way)
	}
	line["c"] = map[string]string{"a": "i"}
	if way := circle(line); len(way) < 3 || way[0] != way[len(way)-1] {
		t.Errorf("%v, want a circle", way)
	}
}
