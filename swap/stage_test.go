package swap

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// Every constant is in the table, once.
func TestStages(t *testing.T) {
	rows := map[string]int{}
	for _, s := range Stages {
		rows[string(s.Stage)]++
		if s.Means == "" {
			t.Errorf("%s means nothing", s.Stage)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "stage.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	constants := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if value, ok := spec.Values[0].(*ast.BasicLit); ok {
				constants++
				if name := value.Value[1 : len(value.Value)-1]; rows[name] != 1 {
					t.Errorf("%s is in %d rows", name, rows[name])
				}
			}
		}
		return true
	})
	if constants != len(Stages) {
		t.Errorf("%d constants, %d rows", constants, len(Stages))
	}
}
