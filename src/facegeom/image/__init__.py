"""Any source to one opened photo: pixels, full size, camera; its pyramid and crops of it."""
