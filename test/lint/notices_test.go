package lint

import (
	"flag"
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
	goroot := strings.TrimSpace(string(command(t, root, nil, "go", "env", "GOROOT")))
	parts := [][2]string{{"Go, standard library and runtime (https://go.dev)", goroot}} // name, folder
	modules := strings.Fields(string(command(t, root, []string{"CGO_ENABLED=0", "GOOS=linux"}, "go", "list", "-deps",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}}={{.Version}}={{.Dir}}{{end}}{{end}}", "./cmd/swapinit")))
	slices.Sort(modules)
	for _, module := range slices.Compact(modules) {
		f := strings.Split(module, "=")
		parts = append(parts, [2]string{f[0] + " " + f[1], f[2]})
	}
	want := "swapinit is licensed under the Apache License 2.0, see LICENSE. The program contains\nthe following, under the licences that stand below each. Written by\n`go test ./test/lint -update`.\n"
	for _, part := range parts {
		name := part[0]
		text, err := os.ReadFile(filepath.Join(part[1], "LICENSE"))
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
