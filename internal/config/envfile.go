package config

import (
	"errors"
	"strconv"
	"strings"
)

// maxEnvFile is the largest environment file, in bytes.
const maxEnvFile = 1 << 20

// KV is one variable of an environment file.
type KV struct {
	Key, Value string
}

// EnvFile reads a dotenv file, as Docker Compose does but for $, which stands
// for itself:
//
//	# comment
//	export KEY=value        # comment after white space
//	KEY='literal, also over several lines, \' is a quote'
//	KEY="with \n \r \t \" \$ \\ and over several lines"
//
// Keys are [A-Za-z_][A-Za-z0-9_]*. Lines may end in CR LF. Of a key given
// twice the later one is meant to win; both are returned, in order. The error
// names the line.
func EnvFile(data []byte) ([]KV, error) {
	if len(data) > maxEnvFile {
		return nil, errors.New("cannot read environment file: larger than 1 MiB")
	}
	r := envReader{text: strings.TrimPrefix(string(data), "\ufeff"), line: 1}
	if i := strings.IndexByte(r.text, 0); i >= 0 {
		r.line += strings.Count(r.text[:i], "\n")
		return nil, r.fail("NUL byte")
	}
	kvs := []KV{}
	for r.text != "" {
		kv, ok, err := r.entry()
		if err != nil {
			return nil, err
		}
		if ok {
			kvs = append(kvs, kv)
		}
	}
	return kvs, nil
}

// envReader is what is left of the file, and the line where that begins.
type envReader struct {
	text string
	line int
}

func (r *envReader) fail(problem string) error {
	return errors.New("cannot read environment file: line " + strconv.Itoa(r.line) + ": " + problem)
}

// restOfLine consumes the line, without its CR LF or LF.
func (r *envReader) restOfLine() string {
	line, rest, found := strings.Cut(r.text, "\n")
	r.text = rest
	if found {
		line = strings.TrimSuffix(line, "\r")
	}
	return line
}

// entry consumes one entry, or one line without any (ok is false).
func (r *envReader) entry() (kv KV, ok bool, err error) {
	before := r.text
	line := r.restOfLine()
	trimmed := strings.TrimLeft(line, " \t")
	if blank := strings.TrimRight(trimmed, " \t\r"); blank == "" || blank[0] == '#' {
		r.line++
		return KV{}, false, nil
	}
	if rest, found := strings.CutPrefix(trimmed, "export"); found && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		trimmed = strings.TrimLeft(rest, " \t")
	}
	key, value, found := strings.Cut(trimmed, "=")
	if !found {
		return KV{}, false, r.fail("no =, want KEY=VALUE") // not quoted: it may be a part of a secret
	}
	key = strings.TrimRight(key, " \t")
	if !validKey(key) {
		return KV{}, false, r.fail(quote(key) + " is not a name, want letters, digits and _, no digit first")
	}
	if strings.HasPrefix(key, Prefix) {
		return KV{}, false, r.fail(plain(key) + " would have no effect here, set it in the container's environment")
	}
	if v := strings.TrimLeft(value, " \t"); v == "" || v[0] != '"' && v[0] != '\'' {
		r.line++
		return KV{key, unquoted(value)}, true, nil
	}
	// A quoted value may go on over several lines: begin again at its quote.
	r.text = before[strings.Index(before, "=")+1:]
	r.text = strings.TrimLeft(r.text, " \t")
	text, err := r.quotedValue()
	if err != nil {
		return KV{}, false, err
	}
	after := strings.TrimLeft(r.restOfLine(), " \t")
	if after = strings.TrimRight(after, " \t\r"); after != "" && after[0] != '#' {
		return KV{}, false, r.fail("text after the closing quote")
	}
	r.line++
	return KV{key, text}, true, nil
}

// unquoted ends at white space followed by #; a # without it is ordinary.
func unquoted(value string) string {
	for i := range len(value) {
		if i > 0 && value[i] == '#' && (value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.Trim(value, " \t\r")
}

// quotedValue consumes a quoted value.
func (r *envReader) quotedValue() (string, error) {
	var b strings.Builder
	s, q := r.text, r.text[0]
	lines := 0
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == q:
			r.text = s[i+1:]
			r.line += lines
			return b.String(), nil
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteString(unescape(q, s[i]))
			if s[i] == '\n' {
				lines++
			}
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
			// A line end of an editor, not of the value.
		default:
			if c == '\n' {
				lines++
			}
			b.WriteByte(c)
		}
	}
	return "", r.fail("unclosed quote")
}

// unescape is what a backslash and c stand for within quotes q. A backslash
// before any other character stays: a Windows path or a pattern is meant.
func unescape(q, c byte) string {
	if c == q {
		return string(rune(q))
	}
	if q == '"' {
		switch c {
		case 'n':
			return "\n"
		case 'r':
			return "\r"
		case 't':
			return "\t"
		case '\\', '$': // \$ is how Compose is told not to expand
			return string(rune(c))
		}
	}
	return string([]byte{'\\', c})
}

func validKey(key string) bool {
	const accepted = "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return key != "" && (key[0] < '0' || key[0] > '9') && strings.Trim(key, accepted) == ""
}
