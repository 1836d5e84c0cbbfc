package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/pristine"
)

func TestMain(m *testing.M) {
	ns.Stage()
	pristine.Signals()
	ns.Root()
	os.Exit(m.Run())
}

func recorded(t *testing.T) []line {
	t.Helper()
	text, err := os.ReadFile(file("swap.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// The picture is drawn from the recording, and is an SVG.
func TestPictureIsFresh(t *testing.T) {
	picture, err := os.ReadFile(file("swap.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if draw(recorded(t)) != string(picture) {
		t.Error("docs/img/swap.svg is stale; run: go run ./test/picture")
	}
	d := xml.NewDecoder(strings.NewReader(string(picture)))
	elements, depth := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the picture is not well formed: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if elements++; depth == 0 && (e.Name.Local != "svg" || e.Name.Space != "http://www.w3.org/2000/svg") {
				t.Errorf("its root is %v", e.Name)
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
	if elements < 20 {
		t.Errorf("only %d elements", elements)
	}
}

// number is what differs from one run to the next.
var number = regexp.MustCompile(`\d+(\.\d+)?( (ms|s)\b)?`)

// shapes are what the lines say, without their times and numbers; of the requests that
// failed the number counts.
func shapes(lines []line) (all []string) {
	for _, l := range lines {
		text := l.text
		if l.kind == printed {
			text = number.ReplaceAllString(text, "N")
		}
		if requests, failed, found := strings.Cut(text, " requests, "); l.kind == counted && found {
			text = number.ReplaceAllString(requests, "N") + " requests, " + failed
		}
		all = append(all, string(l.kind)+" "+text)
	}
	return all
}

// Today's program prints the lines of the picture.
func TestPictureIsTrue(t *testing.T) {
	if err := ns.Supported(); err != nil {
		if strings.Contains(os.Getenv("SWAPINIT_TEST_REQUIRE"), "namespaces") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	now, err := record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shapes(now), shapes(recorded(t)); !slices.Equal(got, want) {
		t.Errorf("today it prints\n%s\nand the picture shows\n%s\nrun: make picture", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
