package checkout

import "regexp"

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// ShellBlocks are the blocks of shell commands of a page of the documentation, each with
// its last line end.
func ShellBlocks(page []byte) (blocks []string) {
	for _, block := range shellBlock.FindAllSubmatch(page, -1) {
		blocks = append(blocks, string(block[1]))
	}
	return blocks
}
