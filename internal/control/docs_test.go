package control

import (
	"os"
	"strings"
	"testing"
)

// The examples of docs/control.md are what the code reads and writes.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	requests, answers, refused := 0, 0, ""
	for _, line := range strings.Split(string(text), "\n") {
		if request, ok := strings.CutPrefix(line, "> "); ok {
			requests++
			refused = ""
			if _, refusal := decodeRequest([]byte(request)); refusal != nil {
				refused = strings.TrimSuffix(string(encode(refusal)), "\n")
			}
			continue
		}
		answer, ok := strings.CutPrefix(line, "< ")
		if !ok {
			continue
		}
		answers++
		if refused != "" && answer != refused {
			t.Errorf("documented %s\nanswered   %s", answer, refused)
		}
		e, r, err := decodeAnswer([]byte(answer))
		if err != nil {
			t.Errorf("%s: %v", answer, err)
			continue
		}
		again := ""
		if e != nil {
			again = string(encode(e))
		} else {
			again = string(encode(r))
		}
		if again != answer+"\n" {
			t.Errorf("documented %s\nencoded    %s", answer, again)
		}
	}
	if requests < 8 || answers < requests {
		t.Errorf("%d requests and %d answers found", requests, answers)
	}
}
