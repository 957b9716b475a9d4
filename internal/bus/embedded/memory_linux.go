package embedded

import "syscall"

const (
	memoryMagic = 0x01021994 // of the file system tmpfs, see statfs(2)
	memoryLeast = 32 << 20   // bytes free; a batch has a few MiB
)

// memoryHasRoom reports whether batches can be staged in memory.
func memoryHasRoom() bool {
	var fs syscall.Statfs_t
	const write = 2 // see access(2)
	return syscall.Statfs(memory, &fs) == nil && fs.Type == memoryMagic && fs.Bavail*uint64(fs.Bsize) >= memoryLeast && syscall.Access(memory, write) == nil
}
