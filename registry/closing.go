package registry

// awaitBackground returns when everything that goes on in the background has ended, after stop.
func (r *Registry) awaitBackground() {
	<-r.done
	<-r.explanations.done
	<-r.counted
	<-r.resealEnded
	<-r.usesEnded
	<-r.dailyEnded
	r.reconciling.wait()
}
