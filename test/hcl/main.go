// Command hcl reads a file in the syntax of HashiCorp on standard input, and prints its
// blocks and attributes, one a line, each with those around it. It is a module of its own,
// so that what it needs is no dependency of swapinit.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hashicorp/hcl/v2"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	file, diagnostics := hclsyntax.ParseConfig(text, "job", hcl.InitialPos)
	if diagnostics.HasErrors() {
		fmt.Fprintln(os.Stderr, diagnostics)
		os.Exit(1)
	}
	print("", file.Body.(*hclsyntax.Body), text)
}

func print(path string, body *hclsyntax.Body, text []byte) {
	var lines []string
	for name, a := range body.Attributes {
		lines = append(lines, path+name+" = "+strings.Join(strings.Fields(string(a.Expr.Range().SliceBytes(text))), " "))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	for _, b := range body.Blocks {
		fmt.Println(path + b.Type)
		print(path+b.Type+".", b.Body, text)
	}
}
