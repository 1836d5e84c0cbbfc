package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write NOTICES again")

// NOTICES has the licence of all that is linked into the binary, as these licences ask of
// whoever passes it on: of Go's own packages and runtime, and of each module.
func TestNotices(t *testing.T) {
	list := func(format string) []string {
		out := command(t, root, []string{"CGO_ENABLED=0", "GOOS=linux"}, "go", "list", "-deps", "-f", format, "./cmd/swapinit")
		lines := strings.Fields(string(out))
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	goroot := strings.TrimSpace(string(command(t, root, nil, "go", "env", "GOROOT")))
	parts := []string{"Go, standard library and runtime (https://go.dev)\n" + filepath.Join(goroot, "LICENSE")}
	for _, module := range list(`{{with .Module}}{{if not .Main}}{{.Path}}={{.Version}}={{.Dir}}{{end}}{{end}}`) {
		f := strings.Split(module, "=")
		parts = append(parts, fmt.Sprintf("%s %s\n%s", f[0], f[1], filepath.Join(f[2], "LICENSE")))
	}
	want := "swapinit is licensed under the Apache License 2.0, see LICENSE. The program contains\nthe following, under the licences that stand below each. Written by\n`go test ./test/lint -update`.\n"
	for _, part := range parts {
		name, file, _ := strings.Cut(part, "\n")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(string(text), "Redistribution and use in source and binary forms") {
			t.Errorf("%s: not a BSD licence: see whether the Apache License 2.0 goes with it, and allow it here", name)
		}
		want += "\n" + strings.Repeat("-", 72) + "\n" + name + "\n\n" + string(text)
	}
	path := filepath.Join(root, "NOTICES")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("NOTICES is stale; run: go test ./test/lint -update")
	}
}
