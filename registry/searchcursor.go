package registry

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// A cursor of Search names the workspace and the entry of its index that was looked at last. A
// sum over both and the Filter finds a cursor that was changed, or is of another search.

const (
	cursorSum = 8
	// maxCursor is longer than any cursor.
	maxCursor = 4096
)

// cursor is where the search has come to.
func (s *search) cursor() string {
	_, prefix := s.index(s.workspaces[0])
	place := key(s.workspaces[0]) + "/" + strings.TrimPrefix(s.after, prefix)
	return base64.RawURLEncoding.EncodeToString(append(s.sum(place), place...))
}

// goOn goes to where a cursor says; an empty one is the beginning.
func (s *search) goOn(cursor string) error {
	if cursor == "" {
		return nil
	}
	if len(cursor) > maxCursor {
		return ErrCursor
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) <= cursorSum {
		return ErrCursor
	}
	place := string(data[cursorSum:])
	if !slices.Equal(data[:cursorSum], s.sum(place)) {
		return ErrCursor
	}
	workspace, entry, _ := strings.Cut(place, "/")
	at := slices.IndexFunc(s.workspaces, func(name string) bool { return key(name) == workspace })
	if at < 0 {
		return ErrCursor // it is not configured any more
	}
	s.workspaces = s.workspaces[at:]
	if entry != "" { // else it begins there
		_, prefix := s.index(s.workspaces[0])
		s.after = prefix + entry
	}
	return nil
}

func (s *search) sum(place string) []byte {
	filter, _ := json.Marshal(&s.filter) // texts and times, which cannot fail: Check has read them
	sum := sha256.Sum256(append(append(filter, 0), place...))
	return sum[:cursorSum]
}
