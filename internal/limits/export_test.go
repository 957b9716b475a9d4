package limits

// The ids of limits, for tests outside.
func IDOfSlots(name string) string  { return idOf(keyOf(slotsPrefix, name)) }
func IDOfTimes(name string) string  { return idOf(keyOf(timesPrefix, name)) }
func IDOfWait(target string) string { return idOf(keyOf(waitPrefix, target)) }
