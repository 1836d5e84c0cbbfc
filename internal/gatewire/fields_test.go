package gatewire

import (
	"reflect"
	"testing"

	"github.com/swapinit/swapinit/test/filled"
)

// Every field of a message is on the wire.
func TestFields(t *testing.T) {
	m := &Message{}
	filled.Set(m)
	line, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := decode(line); err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("%+v became %+v, %v", m, again, err)
	}
}
