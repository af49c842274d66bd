//go:build crashpoints

package badger

import (
	"bytes"
	"os"
	"strconv"
)

// The gateway of the crash tests can be told how much room its disk has, on machines
// that let no test have a disk of its own: by a number of bytes in a file beside the
// directory. Where there is no such file it asks the system.
const testRoomSuffix = ".dcr-test-room"

func init() { diskRoom = testRoom }

func testRoom(dir string) (bytesLeft uint64, known bool) {
	text, err := os.ReadFile(dir + testRoomSuffix)
	if err != nil {
		return free(dir)
	}
	left, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	return left, err == nil
}
