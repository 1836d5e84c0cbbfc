package docs_test

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// messages finds every text that the binary can print as an error or a warning, and where it
// stands. A text is what flows, in the packages' source, into one of these:
//
//   - errors.New, text.Errorf, a text that becomes an error by its type, the result of a method
//     Error;
//   - a call that logs at warn or error, or at a level that is decided while it runs;
//   - stderr, and with it what an answer of the control socket or of the gate says.
//
// What flows is followed through variables, fields, arguments, results and funcs. What is put
// together of parts is one message, with … for each part that varies; and a part that is a
// text of two words or more is a message of its own, as it carries the cause.
func messages(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-C", "..", "-deps", "./cmd/swapinit").Output()
	if err != nil {
		t.Fatal(err)
	}
	f := &flows{
		set: token.NewFileSet(), packages: map[string]*types.Package{}, found: map[string]string{},
		into: map[node][]source{}, also: map[node][]node{}, heard: map[node]bool{},
		info: types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		},
	}
	f.foreign = importer.ForCompiler(f.set, "source", nil)
	for path := range strings.Lines(string(out)) { // in the order in which they need each other
		if dir, ok := strings.CutPrefix(strings.TrimSpace(path), module); ok {
			f.load(t, module+dir, filepath.Join("..", filepath.FromSlash(dir)))
		}
	}
	f.implement()
	for _, file := range f.files {
		f.collect(file, nil, new(types.Signature))
	}
	for _, start := range f.starts {
		start()
	}
	return f.found
}

const module = "github.com/swapinit/swapinit"

type (
	// node is something through which a text flows: what a variable or field holds, or the
	// argument or result with this number of a func.
	node struct {
		of   any // a types.Object, an *ast.FuncLit, or the node that holds a func
		part part
		i    int
	}
	part int

	// source is an expression; of one with several values, the one with this number.
	source struct {
		expr ast.Expr
		i    int
	}

	flows struct {
		set      *token.FileSet
		info     types.Info
		foreign  types.Importer
		packages map[string]*types.Package
		files    []*ast.File
		into     map[node][]source
		also     map[node][]node // what is printed where this is
		heard    map[node]bool   // is printed
		starts   []func()
		found    map[string]string
	}
)

const (
	value part = iota
	param
	result
)

// Import makes flows the importer of its own packages.
func (f *flows) Import(path string) (*types.Package, error) {
	if p := f.packages[path]; p != nil {
		return p, nil
	}
	return f.foreign.Import(path)
}

// load checks the types of the package in a folder, and by itself of what other systems get in
// its place.
func (f *flows) load(t *testing.T, path, dir string) {
	p, err := build.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{p.GoFiles, p.IgnoredGoFiles} {
		var files []*ast.File
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(f.set, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		if files == nil {
			continue
		}
		conf := types.Config{Importer: f}
		pkg, err := conf.Check(path, f.set, files, &f.info)
		if err != nil {
			t.Fatal(err)
		}
		if f.packages[path] == nil {
			f.packages[path] = pkg
		}
		f.files = append(f.files, files...)
	}
}

// implement leads from each method of an interface to those that it may be.
func (f *flows) implement() {
	var abstract, made []*types.Func
	for _, object := range f.info.Defs {
		m, ok := object.(*types.Func)
		switch {
		case !ok || m.Signature().Recv() == nil:
		case types.IsInterface(m.Signature().Recv().Type()):
			abstract = append(abstract, m)
		default:
			made = append(made, m)
			if m.Name() == "Error" {
				f.starts = append(f.starts, func() { f.hear(node{m, result, 0}) })
			}
		}
	}
	for _, to := range abstract {
		for _, m := range made {
			if m.Name() == to.Name() && types.Identical(m.Signature(), to.Signature()) {
				f.hold(to, m, m.Signature())
			}
		}
	}
}

// hold: who calls to calls what.
func (f *flows) hold(to, what any, s *types.Signature) {
	for i := range s.Params().Len() {
		from := f.param(what, s, i)
		f.also[from] = append(f.also[from], f.param(to, s, i))
	}
	for i := range s.Results().Len() {
		from := node{to, result, i}
		f.also[from] = append(f.also[from], node{what, result, i})
	}
}

// param is where argument i goes of a call of a func, a literal or what holds one.
func (f *flows) param(of any, s *types.Signature, i int) node {
	i = min(i, s.Params().Len()-1)
	switch of := of.(type) {
	case *types.Func:
		return node{of: of.Signature().Params().At(i)}
	case *ast.FuncLit:
		return node{of: f.info.TypeOf(of).(*types.Signature).Params().At(i)}
	}
	return node{of, param, i}
}

// callee is the func of a call, or what holds it: nil for a builtin, a conversion, and a func
// of somebody else.
func (f *flows) callee(e ast.Expr) any {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		return e
	case *ast.IndexExpr: // of a generic func
		return f.callee(e.X)
	case *ast.CallExpr:
		if of := f.callee(e.Fun); of != nil {
			return node{of, result, 0}
		}
	case *ast.Ident, *ast.SelectorExpr:
		switch object := f.object(e).(type) {
		case *types.Func:
			if object.Pkg() != nil && f.packages[object.Pkg().Path()] != nil && object.Pkg().Name() != "text" {
				return object.Origin()
			}
		case *types.Var:
			return node{of: object.Origin()}
		}
	}
	return nil
}

func (f *flows) object(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if object := f.info.Defs[e]; object != nil {
			return object
		}
		return f.info.Uses[e]
	case *ast.SelectorExpr:
		return f.info.Uses[e.Sel]
	}
	return nil
}

// place is what is assigned to by an expression on the left.
func (f *flows) place(e ast.Expr) (node, bool) {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident, *ast.SelectorExpr:
		if v, ok := f.object(e).(*types.Var); ok {
			return node{of: v.Origin()}, true
		}
	case *ast.IndexExpr:
		return f.place(e.X)
	case *ast.StarExpr:
		return f.place(e.X)
	}
	return node{}, false
}

// flow notes that what an expression is comes into a node.
func (f *flows) flow(to node, from ast.Expr, i int) {
	f.into[to] = append(f.into[to], source{from, i})
	if s, ok := types.Unalias(f.info.TypeOf(from)).Underlying().(*types.Signature); ok {
		if what := f.callee(from); what != nil {
			f.hold(to, what, s)
		}
	}
}

// collect notes what flows where in a func, or in a file outside of funcs.
func (f *flows) collect(root ast.Node, of any, s *types.Signature) {
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Body != nil {
				fn := f.info.Defs[n.Name].(*types.Func)
				f.collect(n.Body, fn, fn.Signature())
			}
			return false
		case *ast.FuncLit:
			f.collect(n.Body, n, f.info.TypeOf(n).(*types.Signature))
			return false
		case *ast.AssignStmt:
			for k, left := range n.Lhs {
				if to, ok := f.place(left); ok {
					f.flow(to, n.Rhs[min(k, len(n.Rhs)-1)], k-min(k, len(n.Rhs)-1))
				}
			}
		case *ast.ValueSpec:
			for k, name := range n.Names {
				if to, ok := f.place(name); ok && n.Values != nil {
					f.flow(to, n.Values[min(k, len(n.Values)-1)], k-min(k, len(n.Values)-1))
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if e != nil {
					if to, ok := f.place(e); ok {
						f.flow(to, n.X, 0)
					}
				}
			}
		case *ast.SendStmt:
			if to, ok := f.place(n.Chan); ok {
				f.flow(to, n.Value, 0)
			}
		case *ast.ReturnStmt:
			for k := range s.Results().Len() {
				switch to := (node{of, result, k}); {
				case len(n.Results) > 0:
					f.flow(to, n.Results[min(k, len(n.Results)-1)], k-min(k, len(n.Results)-1))
				default:
					f.also[to] = append(f.also[to], node{of: s.Results().At(k)})
				}
			}
		case *ast.CompositeLit:
			f.literal(n)
		case *ast.CallExpr:
			f.call(n, s)
		}
		return true
	})
}

func (f *flows) literal(n *ast.CompositeLit) {
	t := f.info.TypeOf(n)
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	made, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for k, e := range n.Elts {
		var to *types.Var
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			to, e = f.object(pair.Key).(*types.Var), pair.Value
		} else {
			to = made.Field(k)
		}
		f.flow(node{of: to.Origin()}, e, 0)
	}
}
