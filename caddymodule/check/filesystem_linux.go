package check

import "syscall"

// kind is what a file system is.
type kind int

const (
	local kind = iota
	memory
	network
)

// kinds are file systems by their numbers (statfs(2)).
var kinds = map[int64]kind{
	0x01021994: memory, 0x858458f6: memory, // tmpfs, ramfs
	0x6969: network, 0xff534d42: network, 0xfe534d42: network, 0x517b: network, // NFS, CIFS, SMB2, SMB
	0x00c36400: network, 0x5346414f: network, 0x01021997: network, 0x0bd00bd0: network, // Ceph, AFS, 9p, Lustre
	0x47504653: network, 0x7461636f: network, 0x65735546: network, // GPFS, OCFS2, FUSE (GlusterFS, S3)
}

func fileSystem(dir string) kind {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return local
	}
	return kinds[int64(uint32(stat.Type))]
}

// freeRoom is how many bytes a file system has left for others than root.
func freeRoom(dir string) (bytes uint64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return stat.Bavail * uint64(stat.Bsize), true
}
