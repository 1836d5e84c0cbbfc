<?php
header('Content-Type: text/plain');
echo 'zoo ', getmypid(), "\n";
