package verify

import (
	"errors"
	"fmt"
)

// CheckPolicyText checks a text that a policy has for TPPs: what it lets pass reaches
// them as it is written. Other texts are cut and cleaned, which may leave nonsense.
func CheckPolicyText(text string) error {
	if text == "" {
		return errors.New("the text is empty; write what the TPP can do")
	}
	for _, r := range text {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return fmt.Errorf("the text has %q, which does not reach a TPP; write printable ASCII, without quotation marks and backslashes (RFC 6749 5.2)", r)
		}
	}
	if len(text) > MaxDescription {
		return fmt.Errorf("the text has %d characters, of which %d reach a TPP; make it shorter", len(text), MaxDescription)
	}
	return nil
}
