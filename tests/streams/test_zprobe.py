import time
from tests.streams.world import *
def test_x(world):
    t=time.time(); w=world.start("classify"); c=world.start("counts"); world.await_owned([w,c]); print("owned", time.time()-t)
    world.tick(NOON); world.send("mentions", mention("u1",1)); world.flush()
    t=time.time(); print(world.await_records("cases", Record, 1)); print(time.time()-t)
    print(world.members("counts"), world.offsets("counts"))
    print(w.text()); t=time.time(); print(w.stop(), c.stop(), time.time()-t); print(w.text())
    print(world.offsets("counts"))
