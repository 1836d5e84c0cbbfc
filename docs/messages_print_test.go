package docs_test

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"strings"

	"github.com/swapinit/swapinit/internal/logline"
)

// call notes what a call passes on, and whether that is printed.
func (f *flows) call(n *ast.CallExpr, within *types.Signature) {
	if f.info.Types[n.Fun].IsType() {
		if error, _, _ := types.LookupFieldOrMethod(f.info.TypeOf(n), true, nil, "Error"); error != nil {
			f.starts = append(f.starts, func() { f.trace(n.Args[0], 0) })
		}
		return
	}
	if f.is(n, "text", "Errorf") {
		f.starts = append(f.starts, func() { f.trace(n, 0) })
	} else if f.prints(n, within) {
		f.starts = append(f.starts, func() {
			for _, arg := range n.Args {
				f.trace(arg, 0)
			}
		})
	}
	s, ok := f.info.TypeOf(n.Fun).Underlying().(*types.Signature)
	if of := f.callee(n.Fun); ok && of != nil && s.Params().Len() > 0 {
		for k, arg := range n.Args {
			f.flow(f.param(of, s, k), arg, 0)
		}
	}
}

// prints: this call makes an error, or prints one.
func (f *flows) prints(n *ast.CallExpr, within *types.Signature) bool {
	fn, _ := f.object(n.Fun).(*types.Func)
	switch {
	case f.is(n, "errors", "New"):
		return true
	case fn != nil && fn.Name() == "WriteString":
		stderr := false
		ast.Inspect(n, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				stderr = stderr || s.Sel.Name == "Stderr" || s.Sel.Name == "err"
			}
			return true
		})
		return stderr
	}
	for _, arg := range n.Args {
		if !named(f.info.TypeOf(arg), "logline", "Level") {
			continue
		}
		if level := f.info.Types[arg].Value; level != nil {
			n, _ := constant.Int64Val(level)
			return n <= int64(logline.Warn)
		}
		for k := range within.Params().Len() {
			if f.object(arg) == within.Params().At(k) { // its caller says which
				return false
			}
		}
		return true
	}
	return false
}

// quotes: a call that puts a text from elsewhere in quotes.
func (f *flows) quotes(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	fn := f.object(call.Fun)
	return fn != nil && strings.EqualFold(fn.Name(), "quote")
}

// is: a call of this func.
func (f *flows) is(e ast.Expr, pkg, name string) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := f.object(call.Fun).(*types.Func)
	return ok && fn.Pkg() != nil && fn.Pkg().Name() == pkg && fn.Name() == name
}

func named(t types.Type, pkg, name string) bool {
	n, ok := t.(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Name() == pkg && n.Obj().Name() == name
}

// elsewhere is what has a page of its own: the settings, the verbs' synopses, the stages of a
// swap (of which a failed verb repeats the last one).
var elsewhere = map[string]bool{"config.tag": true, "main.verbUsage": true, "main.last": true}

// hear notes that what is in a node is printed.
func (f *flows) hear(n node) {
	if f.heard[n] {
		return
	}
	f.heard[n] = true
	if of, ok := n.of.(types.Object); ok && of.Pkg() != nil && elsewhere[of.Pkg().Name()+"."+of.Name()] {
		return
	}
	for _, from := range f.into[n] {
		f.trace(from.expr, from.i)
	}
	for _, other := range f.also[n] {
		f.hear(other)
	}
}

// trace notes that an expression is printed: what it says by itself, and what comes into it.
func (f *flows) trace(e ast.Expr, i int) {
	switch t := f.info.TypeOf(e).(type) {
	case *types.Tuple:
		if !textual(t.At(i).Type()) {
			return
		}
	default:
		if !textual(t) && !f.is(e, "text", "Errorf") {
			return
		}
	}
	if pattern, ok := f.pattern(e); ok {
		f.note(e, pattern)
		return
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident, *ast.SelectorExpr:
		if to, ok := f.place(e); ok {
			f.hear(to)
		}
	case *ast.IndexExpr:
		f.trace(e.X, 0)
	case *ast.SliceExpr:
		f.trace(e.X, 0)
	case *ast.StarExpr:
		f.trace(e.X, 0)
	case *ast.UnaryExpr:
		f.trace(e.X, 0)
	case *ast.CompositeLit:
		for _, element := range e.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				f.trace(pair.Key, 0)
				element = pair.Value
			}
			f.trace(element, 0)
		}
	case *ast.CallExpr:
		switch of := f.callee(e.Fun); {
		case f.quotes(e): // what it quotes is no text of ours
		case of != nil:
			f.hear(node{of, result, i})
		default: // a conversion, append, and what others make of a text
			for _, arg := range e.Args {
				f.trace(arg, 0)
			}
		}
	}
}

// textual: a text, or several.
func textual(t types.Type) bool {
	switch t := t.Underlying().(type) {
	case *types.Basic:
		return t.Info()&types.IsString != 0
	case *types.Slice:
		return textual(t.Elem())
	case *types.Array:
		return textual(t.Elem())
	case *types.Pointer:
		return textual(t.Elem())
	case *types.Chan:
		return textual(t.Elem())
	case *types.Map:
		return textual(t.Elem()) || textual(t.Key())
	}
	return false
}

var verbs = regexp.MustCompile(`%[svdw%q]`)

// pattern is a text that stands in the source, with … for what is not there.
func (f *flows) pattern(e ast.Expr) (string, bool) {
	if sum, ok := ast.Unparen(e).(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		return f.piece(sum.X) + f.piece(sum.Y), true
	}
	if v := f.info.Types[e].Value; v != nil && !f.foreignConst(e) {
		return fixed(v), true
	}
	if !f.is(e, "text", "Sprintf") && !f.is(e, "text", "Errorf") {
		return "", false
	}
	args := ast.Unparen(e).(*ast.CallExpr).Args
	for _, arg := range args[1:] {
		f.trace(arg, 0)
	}
	return formatted(f.piece(args[0])), true
}

// foreignConst: runtime.GOOS is another one elsewhere.
func (f *flows) foreignConst(e ast.Expr) bool {
	of := f.object(e)
	return of != nil && of.Pkg() != nil && f.packages[of.Pkg().Path()] == nil
}

func formatted(format string) string {
	return verbs.ReplaceAllStringFunc(format, func(verb string) string {
		switch verb {
		case "%%":
			return "%"
		case "%q":
			return `"…"`
		}
		return "…"
	})
}

func fixed(v constant.Value) string {
	if v.Kind() == constant.String {
		return constant.StringVal(v)
	}
	return ""
}

// piece is a part of a text: as it stands there, or … for what is a text by itself.
func (f *flows) piece(e ast.Expr) string {
	if p, ok := f.pattern(e); ok {
		return p
	}
	f.trace(e, 0)
	if f.quotes(e) {
		return `"…"`
	}
	return "…"
}

var (
	twice = regexp.MustCompile(`…{2,}`)
	word  = regexp.MustCompile(`(?:^|\s)\S*\pL\pL`)
)

// note takes a text of two words or more.
func (f *flows) note(e ast.Expr, pattern string) {
	pattern = strings.TrimSpace(twice.ReplaceAllString(pattern, "…"))
	if len(word.FindAllString(pattern, 2)) == 2 && f.found[pattern] == "" {
		f.found[pattern] = f.set.Position(e.Pos()).String()
	}
}
