package embedded

import "syscall"

// free is how many bytes a file system has left for this process, and how many in all; false where that cannot be found out.
func free(dir string) (left, all int64, ok bool) {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return 0, 0, false
	}
	return int64(fs.Bavail) * fs.Bsize, int64(fs.Blocks) * fs.Bsize, true
}
